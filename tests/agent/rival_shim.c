/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD into the keeper: before one of libcryptsetup's locks, another program runs and does to the
 * header what it likes. Environment: RIVAL_ARM  counting starts when this file exists     RIVAL_AT   number
 * of the flock() before which it comes, or "all" RIVAL_CMD  what it does, for the shell RIVAL_OUT  gets its
 * exit code */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void come(const char *command, const char *out)
{
    char *plain = NULL; /* without this shim */
    if (asprintf(&plain, "unset LD_PRELOAD; %s", command) < 0)
        abort();
    int r = system(plain);
    FILE *f = fopen(out, "w");
    if (!f || fprintf(f, "%d\n", WIFEXITED(r) ? WEXITSTATUS(r) : -1) < 0 || fclose(f) != 0)
        abort();
    free(plain);
}

int flock(int fd, int op)
{
    static int (*real)(int, int);
    static int count;
    const char *arm = getenv("RIVAL_ARM"), *at = getenv("RIVAL_AT"), *command = getenv("RIVAL_CMD"),
               *out = getenv("RIVAL_OUT");
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "flock");
    if (arm && at && command && out && access(arm, F_OK) == 0 && (op & (LOCK_EX | LOCK_SH)) &&
        (++count == atoi(at) || strcmp(at, "all") == 0))
        come(command, out);
    return real(fd, op);
}
