/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/probe.h"
#include "agent/channel.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MAX (256u << 20) /* address space: hostile content must not eat the machine's memory */

static enum err answer(struct channel *c, const struct probed *p)
{
    struct json_object *o = probed_encode(p);
    const char *text = o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : NULL;
    const struct msg m = {.type = MSG_PROBED, .probed.json = msg_text(text ? text : "{}")};
    enum err e = channel_send(c, &m, -1);
    json_object_put(o);
    return e;
}

static enum err serve(struct channel *c)
{
    static struct probed p;
    char path[PATH_MAX];
    struct msg m;
    for (;;) {
        TRY(channel_recv(c, -1, &m));
        if (m.type != MSG_PROBE)
            return ERR_FORMAT;
        TRY(msg_text_copy(m.probe.device, path, sizeof path));
        probe_device(path, m.probe.flags & MSG_PROBE_DISK, &p);
        TRY(answer(c, &p));
    }
}

static enum err confine(void)
{
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    cap_t none = cap_init();
    if (!none || cap_set_proc(none) < 0 || setrlimit(RLIMIT_AS, &memory) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return ERR_INTERNAL;
    cap_free(none);
    TRY(process_harden(false));
    return probe_sandbox();
}

int main(void)
{
    struct channel c = {.fd = PROBE_FD};
    int flags = fcntl(PROBE_FD, F_GETFL);
    if (flags < 0 || fcntl(PROBE_FD, F_SETFL, flags | O_NONBLOCK) < 0) {
        fputs("probe: it is started by the keeper only\n", stderr);
        return KH_EXIT_USAGE;
    }
    enum err e = confine();
    if (e == ERR_OK)
        e = serve(&c);
    return e == ERR_OFFLINE ? KH_EXIT_OK : KH_EXIT_FAILED; /* the keeper has closed its end: done */
}
