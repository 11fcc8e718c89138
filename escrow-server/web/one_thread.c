/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A web worker has one thread, so no lock of its libraries' is ever contended; but OpenSSL 3.0 takes and
 * gives back a thousand of them in a handshake, 250 times to look up what belongs to a library context. The
 * program's own definitions come before glibc's, for shared libraries too. source: pthread_rwlock_rdlock(3p);
 * ld.so(8) */
#include <pthread.h>
#include <stdlib.h>
#include <sys/single_threaded.h>

static int none(void)
{
    if (!__libc_single_threaded) /* then this file is a mistake */
        abort();
    return 0;
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return none();
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return none();
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    (void)lock;
    return none();
}
