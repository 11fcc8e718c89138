/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/command/command.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include "formats/org.h"
#include "formats/policy.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_MAX 4096

static enum err read_bundle(const char *dir, const char *name, size_t max, struct msg_span *ret)
{
    char path[PATH_MAX];
    uint8_t *p;
    size_t len;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return ERR_RANGE;
    enum err e = file_read(path, max, &p, &len);
    if (e != ERR_OK) {
        command_say("%s: %s; nothing was changed", path, err_text(e));
        return e;
    }
    *ret = (struct msg_span){p, len};
    return ERR_OK;
}

/* A bundle may bring a policy: both files, or none. */
static enum err read_policy(const char *dir, struct msg *m)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/policy.json", dir) >= (int)sizeof path)
        return ERR_RANGE;
    if (access(path, F_OK) < 0)
        return ERR_OK;
    TRY(read_bundle(dir, "policy.json", POLICY_MAX, &m->enroll.policy));
    return read_bundle(dir, "policy.json.sig", POLICY_SIG, &m->enroll.policy_sig);
}

static enum err read_all(const char *dir, struct msg *m)
{
    static const char *const name[] = {"org.json", "org.json.sig", "root.pub", "token"};
    static const size_t max[] = {ORG_MAX, 64, 4096, TOKEN_MAX};
    struct msg_span *const to[] = {&m->enroll.org, &m->enroll.sig, &m->enroll.root, &m->enroll.token};
    for (int i = 0; i < 4; i++)
        TRY(read_bundle(dir, name[i], max[i], to[i]));
    return read_policy(dir, m);
}

/* The token is a secret. */
static void free_all(struct msg *m)
{
    struct msg_span *const all[] = {&m->enroll.org,   &m->enroll.sig,    &m->enroll.root,
                                    &m->enroll.token, &m->enroll.policy, &m->enroll.policy_sig};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        uint8_t *p = (uint8_t *)(uintptr_t)all[i]->p; /* ours, from read_bundle() */
        if (p)
            cr_wipe(p, all[i]->len);
        free(p);
    }
}

static int run(int argc, char **argv)
{
    struct msg m = {.type = MSG_ENROLL};
    const char *bundle = NULL;
    const struct command_option own[] = {{"bundle", &bundle, NULL}, {NULL, NULL, NULL}};
    struct command_args a;
    struct command_answer answer;
    int code;
    if (!command_parse(&command_enroll, argc, argv, own, &a, &code))
        return code;
    if (!bundle || a.n_devices)
        return command_usage(&command_enroll, "--bundle DIR is needed, and nothing else");
    enum err e = read_all(bundle, &m);
    if (e == ERR_OK)
        command_ask(&a, &m, &answer);
    free_all(&m);
    return e == ERR_OK ? command_show(&a, &answer, NULL) : KH_EXIT_FAILED;
}

const struct command command_enroll = {
    "enroll", run, "join an organisation",
    "--bundle DIR [--json]\n\n"
    "DIR holds org.json, org.json.sig, root.pub and token, as the server's init made\n"
    "them. The SHA-256 of root.pub is shown: compare it with the one that the\n"
    "organisation published. Volumes can be protected from then on; the enrolment\n"
    "itself goes out whenever a server can be reached.\n\n"
    "Exit codes: 0 enrolled; 1 failed; 2 wrong use; 3 refused (signature, other root\n"
    "key, or the server said no); 4 queued: no server could be reached yet.\n"};
