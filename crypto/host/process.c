/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/process.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Variables by which a library that we link loads other code or settings, looks elsewhere for devices, or
 * writes down secrets. Proxies (https_proxy and the like) are a person's honest wish and stay. */
static const char *const env_clear[] = {
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "OPENSSL_ia32cap",
    "OPENSSL_TRACE",
    "OPENSSL_MALLOC_FAILURES",
    "OPENSSL_MALLOC_FD",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CTLOG_FILE",
    "SSLKEYLOGFILE",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "CURL_SSL_BACKEND",
    "NETRC",
    "TSS2_LOG",
    "TSS2_LOGFILE",
    "TSS2_FAPICONF",
    "TPM2OPENSSL_TCTI",
    "TPM2TOOLS_TCTI",
    "BLKID_FILE",
    "BLKID_CONF",
    "LIBBLKID_DEBUG",
    "LIBMOUNT_DEBUG",
    "DM_DISABLE_UDEV",
    "DM_DEV_DIR",
    "LVM_SUPPRESS_FD_WARNINGS",
    "EFIVARFS_PATH",
    "LIBEFIVAR_OPS",
    "LIBEFIBOOT_REPORT_GPT_ERRORS",
    "SQLITE_TMPDIR",
    "EVENT_SHOW_METHOD",
    "EVENT_NOEPOLL",
    "EVENT_EPOLL_USE_CHANGELIST",
    "P11_KIT_DEBUG",
};

/* MCL_FUTURE under a small limit makes every later malloc beyond it fail, so it is asked for only where no
 * limit counts. */
static bool lock_unlimited(void)
{
    struct rlimit limit;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2] = {{0}};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        return true;
    return syscall(SYS_capget, &head, caps) == 0 && (caps[0].effective & (1u << CAP_IPC_LOCK));
}

/* MCL_ONFAULT: a page is locked when it is touched, and a secret touches its page. Without it every page of
 * every library that we link would be read from the disk and kept. */
static enum err lock_memory(void)
{
    if (lock_unlimited() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
        return ERR_OK;
    if (mlockall(MCL_CURRENT | MCL_ONFAULT) == 0)
        return ERR_OK;
    /* Over the limit (ENOMEM, EAGAIN) or not allowed at all (EPERM): the process works without, and a
     * machine that forbids locking must still encrypt and recover. */
    return errno == ENOMEM || errno == EAGAIN || errno == EPERM ? ERR_OK : err_from_errno(errno);
}

enum err process_harden(bool lock)
{
    const struct rlimit none = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_from_errno(errno);
    for (size_t i = 0; i < sizeof env_clear / sizeof env_clear[0]; i++)
        (void)unsetenv(env_clear[i]); /* fails only for a malformed name */
    return lock ? lock_memory() : ERR_OK;
}

static enum err drop_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &head, none) != 0)
        return err_from_errno(errno);
    return ERR_OK;
}

/* Is every identity the wanted one, and does every way back fail? */
static bool dropped(uid_t uid, gid_t gid)
{
    uid_t u[3];
    gid_t g[3];
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2];
    if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0 ||
        syscall(SYS_capget, &head, caps) != 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != gid)
            return false;
    for (int i = 0; i < 2; i++)
        if (caps[i].effective || caps[i].permitted || caps[i].inheritable)
            return false;
    return getgroups(0, NULL) == 0 && setuid(0) != 0 && setresuid(0, 0, 0) != 0 &&
           (gid == 0 || setresgid(0, 0, 0) != 0) && setgroups(0, NULL) != 0;
}

enum err process_drop(uid_t uid, gid_t gid)
{
    if (uid == 0)
        return ERR_RANGE;
    /* No new privileges: nothing that is executed later gets a capability back, whatever its file says. */
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_from_errno(errno);
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return err_from_errno(errno);
    TRY(drop_capabilities());
    /* A change of uid sets this from a sysctl. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return err_from_errno(errno);
    return dropped(uid, gid) ? ERR_OK : ERR_INTERNAL;
}
