/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/probe.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <stddef.h>

/* What reading devices and talking to the keeper take. Not in it: writing to a file, making sockets,
 * executing. */
static const int allowed[] = {
    SCMP_SYS(brk),           SCMP_SYS(mmap),         SCMP_SYS(munmap),         SCMP_SYS(mremap),
    SCMP_SYS(madvise),       SCMP_SYS(futex),        SCMP_SYS(exit),           SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),  SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),      SCMP_SYS(getpid),
    SCMP_SYS(close),         SCMP_SYS(read),         SCMP_SYS(pread64),        SCMP_SYS(lseek),
    SCMP_SYS(fstat),         SCMP_SYS(newfstatat),   SCMP_SYS(statx),          SCMP_SYS(stat),
    SCMP_SYS(access),        SCMP_SYS(faccessat),    SCMP_SYS(faccessat2),     SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),    SCMP_SYS(getdents64),   SCMP_SYS(fcntl),          SCMP_SYS(uname),
    SCMP_SYS(fadvise64),     SCMP_SYS(poll),         SCMP_SYS(ppoll),          SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),        SCMP_SYS(recvmsg),      SCMP_SYS(sendmsg),
};

/* Questions about a block device; an ioctl can do nearly everything else to one. */
static const unsigned long questions[] = {BLKGETSIZE64, BLKGETSIZE, BLKSSZGET,   BLKPBSZGET,
                                          BLKIOMIN,     BLKIOOPT,   BLKALIGNOFF, BLKROGET};

static bool add_rules(scmp_filter_ctx filter)
{
    const scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) != 0)
            return false;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)questions[i])) != 0)
            return false;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, writes, O_RDONLY)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, writes, O_RDONLY)) == 0;
}

enum err probe_sandbox(void)
{
    /* "Not allowed" instead of death: libblkid asks a little more than it needs. */
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return ERR_NOMEM;
    enum err e = add_rules(filter) && seccomp_load(filter) == 0 ? ERR_OK : ERR_INTERNAL;
    seccomp_release(filter);
    return e;
}
