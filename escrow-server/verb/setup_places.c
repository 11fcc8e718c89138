/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/verb/setup.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int setup_complain(int code, const char *what, const char *reason)
{
    fprintf(stderr, "keyholt-server: %s: %s; no organisation was made\n", what, reason);
    return code;
}

/* Behind what is there already nothing is a link. The root is the empty text. */
static enum err append(char path[static PATH_MAX], const char *rest)
{
    for (size_t n; (rest += strspn(rest, "/"))[0] != '\0'; rest += n) {
        size_t len = strlen(path);
        char *last = strrchr(path, '/');
        n = strcspn(rest, "/");
        if (n == 1 && rest[0] == '.')
            continue;
        if (n == 2 && memcmp(rest, "..", 2) == 0) {
            if (last != NULL)
                *last = '\0';
            continue;
        }
        if (len + n + 1 >= PATH_MAX)
            return ERR_RANGE;
        snprintf(path + len, PATH_MAX - len, "/%.*s", (int)n, rest);
    }
    return ERR_OK;
}

/* Where a folder is or will be, without links; the root is the empty text. */
static enum err resolve(const char *path, char ret[static PATH_MAX])
{
    char absolute[PATH_MAX], there[PATH_MAX];
    TRY(place_absolute(path, absolute));
    memcpy(there, absolute, sizeof there);
    while (realpath(there, ret) == NULL) {
        if (errno != ENOENT && errno != ENOTDIR)
            return err_from_errno(errno);
        char *slash = strrchr(there, '/');
        slash[slash == there] = '\0';
    }
    if (strcmp(ret, "/") == 0)
        ret[0] = '\0';
    return append(ret, absolute + strlen(there));
}

static bool is_within(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

#define PLACES 3
#define BUNDLE 2

struct place {
    const char *option, *dir;
    mode_t mode;
    char real[PATH_MAX];
};

/* The bundle goes to every laptop, and each of the two keys to a safe place of its own. */
static int check_apart(struct place place[static PLACES])
{
    for (unsigned i = 0; i < PLACES; i++) {
        enum err e = resolve(place[i].dir, place[i].real);
        if (e != ERR_OK)
            return setup_complain(KH_EXIT_FAILED, place[i].dir, err_text(e));
        for (unsigned k = 0; k < i; k++)
            if (is_within(place[i].real, place[k].real) || is_within(place[k].real, place[i].real))
                return setup_complain(KH_EXIT_USAGE, place[i].option,
                                      "--offline-dir, --desk-dir and --bundle-dir must be three folders of "
                                      "which none lies in another");
    }
    return KH_EXIT_OK;
}

static int check_empty(const struct place *p)
{
    DIR *d = opendir(p->dir);
    bool empty = true;
    if (d == NULL)
        return errno == ENOENT ? KH_EXIT_OK
                               : setup_complain(KH_EXIT_FAILED, p->dir, err_text(err_from_errno(errno)));
    for (const struct dirent *item; (item = readdir(d)) != NULL;)
        empty = empty && (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0);
    closedir(d);
    return empty ? KH_EXIT_OK
                 : setup_complain(KH_EXIT_NO, p->dir,
                                  "the bundle goes to every laptop, so it wants a new or empty folder");
}

static int make(const struct place *p)
{
    enum err e = file_mkdirs(p->dir, p->mode);
    if (e == ERR_OK && access(p->dir, W_OK) != 0)
        e = err_from_errno(errno);
    return e == ERR_OK ? KH_EXIT_OK : setup_complain(KH_EXIT_FAILED, p->dir, err_text(e));
}

static enum err set_paths(struct setup *s, const char *offline_dir, const char *desk_dir)
{
    char dir[PATH_MAX];
    TRY(place_absolute(offline_dir, dir));
    TRY(file_join(dir, "/root.key", s->conf.root_key, sizeof s->conf.root_key));
    TRY(place_absolute(desk_dir, s->desk_dir));
    return file_join(s->desk_dir, "/desk.key", s->conf.desk_key, sizeof s->conf.desk_key);
}

int setup_places(struct setup *s, const char *offline_dir, const char *desk_dir)
{
    struct place place[PLACES] = {{.option = "--offline-dir", .dir = offline_dir, .mode = 0700},
                                  {.option = "--desk-dir", .dir = desk_dir, .mode = 0700},
                                  {.option = "--bundle-dir", .dir = s->bundle_dir, .mode = 0755}};
    enum err e = set_paths(s, offline_dir, desk_dir);
    if (e != ERR_OK)
        return setup_complain(KH_EXIT_FAILED, "--offline-dir, --desk-dir", err_text(e));
    int code = check_apart(place);
    if (code == KH_EXIT_OK && (access(s->conf.root_key, F_OK) == 0 || access(s->conf.desk_key, F_OK) == 0))
        code = setup_complain(KH_EXIT_NO, "--offline-dir, --desk-dir",
                              "there is a key already, and it stays as it is");
    if (code == KH_EXIT_OK)
        code = check_empty(&place[BUNDLE]);
    for (unsigned i = 0; code == KH_EXIT_OK && i < PLACES; i++)
        code = make(&place[i]);
    return code;
}

/* Nobody has any of it yet, so init can be run again; the bundle's folder was empty. */
void setup_take_back(const struct setup *s)
{
    static const char *const names[] = {"/root.pub", "/org.json.sig", "/org.json", "/token"};
    char path[PATH_MAX];
    (void)unlink(s->conf.root_key);
    (void)unlink(s->conf.desk_key);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (file_join(s->bundle_dir, names[i], path, sizeof path) == ERR_OK)
            (void)unlink(path);
}
