/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/vault.h"
#include <errno.h>
#include <seccomp.h>

/* What the vault does from now on: files in its own folder, its socketpairs, memory, time. */
static const int allowed[] = {
    SCMP_SYS(read),           SCMP_SYS(write),        SCMP_SYS(pread64),     SCMP_SYS(pwrite64),
    SCMP_SYS(readv),          SCMP_SYS(writev),       SCMP_SYS(close),       SCMP_SYS(openat),
    SCMP_SYS(open),           SCMP_SYS(fstat),        SCMP_SYS(stat),        SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),     SCMP_SYS(statx),        SCMP_SYS(lseek),       SCMP_SYS(ftruncate),
    SCMP_SYS(fsync),          SCMP_SYS(fdatasync),    SCMP_SYS(flock),       SCMP_SYS(fcntl),
    SCMP_SYS(access),         SCMP_SYS(faccessat),    SCMP_SYS(faccessat2),  SCMP_SYS(getdents64),
    SCMP_SYS(recvfrom),       SCMP_SYS(sendto),       SCMP_SYS(recvmsg),     SCMP_SYS(sendmsg),
    SCMP_SYS(poll),           SCMP_SYS(ppoll),        SCMP_SYS(mmap),        SCMP_SYS(munmap),
    SCMP_SYS(mremap),         SCMP_SYS(mprotect),     SCMP_SYS(madvise),     SCMP_SYS(brk),
    SCMP_SYS(mlock),          SCMP_SYS(munlock),      SCMP_SYS(futex),       SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday), SCMP_SYS(time),        SCMP_SYS(getpid),
    SCMP_SYS(gettid),         SCMP_SYS(getuid),       SCMP_SYS(geteuid),     SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),           SCMP_SYS(exit_group),   SCMP_SYS(sched_yield), SCMP_SYS(tgkill),
    SCMP_SYS(rseq),           SCMP_SYS(ioctl),
};

/* What only an attacker would try: these end the process, everything else unknown merely fails. The first two
 * merely fail, too, where a token's module runs here: such code calls syslog(3). */
static const int deadly[] = {
    SCMP_SYS(socket),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(io_uring_setup),
};

#define N_OF_MODULES 2

enum err vault_confine(bool has_module)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int code = ctx == NULL ? -1 : 0;
    for (size_t i = 0; code == 0 && i < sizeof allowed / sizeof allowed[0]; i++)
        code = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = has_module ? N_OF_MODULES : 0; code == 0 && i < sizeof deadly / sizeof deadly[0]; i++)
        code = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    if (code == 0)
        code = seccomp_load(ctx);
    seccomp_release(ctx);
    return code == 0 ? ERR_OK : ERR_INTERNAL;
}
