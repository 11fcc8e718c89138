/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/people.h"
#include "crypto/host/file.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <crypt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MIN 8
#define ROLE_TEXT    16    /* with the zero byte */
#define METHOD       "$y$" /* yescrypt */

static const struct {
    enum people_role role;
    const char *text;
} roles[] = {{PEOPLE_HELP_DESK, "helpdesk"},
             {PEOPLE_ADVANCED, "advanced"},
             {PEOPLE_READER, "reader"},
             {PEOPLE_AUDITOR, "auditor"},
             {PEOPLE_ADMINISTRATOR, "administrator"}};

enum err people_role_from_text(const char *text, enum people_role *ret)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].text, text) == 0) {
            *ret = roles[i].role;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

static bool are_roles_up_to(const char *list, enum people_role last)
{
    enum people_role role;
    for (size_t n; (list += strspn(list, ", "))[0] != '\0'; list += n) {
        char word[ROLE_TEXT];
        n = strcspn(list, ", ");
        if (n >= sizeof word)
            return false;
        memcpy(word, list, n);
        word[n] = '\0';
        if (people_role_from_text(word, &role) != ERR_OK || role > last)
            return false;
    }
    return true;
}

bool people_are_roles(const char *list)
{
    return are_roles_up_to(list, PEOPLE_ADMINISTRATOR);
}

bool people_are_askers(const char *list)
{
    return are_roles_up_to(list, PEOPLE_ADVANCED);
}

const char *people_role_text(enum people_role role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (roles[i].role == role)
            return roles[i].text;
    return "?";
}

bool people_name_is_good(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= PEOPLE_NAME && text_is_printable(name, len) &&
           strpbrk(name, " \"'\\:,") == NULL;
}

/* The password leaves our secret only into libcrypt's own memory, which is wiped. */
static enum err hash(const struct secret *password, const char *setting, char ret[static CRYPT_OUTPUT_SIZE])
{
    struct crypt_data *data = calloc(1, sizeof *data);
    SECRET(text);
    if (data == NULL)
        return ERR_NOMEM;
    enum err e =
        password->len < SECRET_MAX && memchr(password->bytes, 0, password->len) == NULL ? ERR_OK : ERR_RANGE;
    if (e == ERR_OK) {
        memcpy(text.bytes, password->bytes, password->len);
        text.bytes[password->len] = 0;
        const char *out = crypt_r((const char *)text.bytes, setting, data);
        e = out != NULL && out[0] != '*' && strlen(out) < CRYPT_OUTPUT_SIZE ? ERR_OK : ERR_UNSUPPORTED;
        if (e == ERR_OK)
            memcpy(ret, out, strlen(out) + 1);
    }
    cr_wipe(data, sizeof *data);
    free(data);
    return e;
}

static enum err fresh_setting(char ret[static CRYPT_GENSALT_OUTPUT_SIZE])
{
    char random[32];
    TRY(cr_random(random, sizeof random));
    return crypt_gensalt_rn(METHOD, 0, random, sizeof random, ret, CRYPT_GENSALT_OUTPUT_SIZE) != NULL
               ? ERR_OK
               : ERR_UNSUPPORTED;
}

static enum err load(const char *path, struct json_object **ret)
{
    uint8_t *text = NULL;
    size_t len;
    TRY(file_read(path, JSON_BYTES_MAX, &text, &len));
    enum err e = json_strict_parse((const char *)text, len, ret);
    free(text);
    return e;
}

/* ret: its place among the users, which ret_users borrows from the file's object. err: NOT_FOUND */
static enum err find(struct json_object *file, const char *name, struct json_object **ret_users, size_t *ret)
{
    struct json_object *users;
    TRY(json_get_array(file, "users", PEOPLE_MAX, &users));
    for (size_t i = 0; i < json_object_array_length(users); i++) {
        const char *is;
        TRY(json_get_text(json_object_array_get_idx(users, i), "name", PEOPLE_NAME, &is));
        if (strcmp(is, name) == 0) {
            *ret_users = users;
            *ret = i;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

/* ret: borrowed from the file's object. err: NOT_FOUND */
static enum err find_user(struct json_object *file, const char *name, struct json_object **ret)
{
    struct json_object *users;
    size_t at;
    TRY(find(file, name, &users, &at));
    *ret = json_object_array_get_idx(users, at);
    return ERR_OK;
}

static enum err append(struct json_object *file, const char *name, enum people_role role, const char *hashed)
{
    struct json_object *users, *user = json_object_new_object();
    TRY(json_get_array(file, "users", PEOPLE_MAX - 1, &users));
    if (user == NULL)
        return ERR_NOMEM;
    json_object_object_add(user, "name", json_object_new_string(name));
    json_object_object_add(user, "role", json_object_new_string(people_role_text(role)));
    json_object_object_add(user, "password", json_object_new_string(hashed));
    return json_object_array_add(users, user) == 0 ? ERR_OK : ERR_NOMEM;
}

static enum err save(const char *path, struct json_object *file)
{
    const char *text = json_object_to_json_string_ext(file, JSON_C_TO_STRING_PRETTY);
    return text == NULL ? ERR_NOMEM : file_replace(path, text, strlen(text));
}

/* To change what is read: who else does waits until end(). */
static enum err begin(const char *path, struct json_object **ret, int *ret_held)
{
    TRY(file_hold_folder(path, ret_held));
    enum err e = load(path, ret);
    if (e != ERR_OK)
        (void)close(*ret_held);
    return e;
}

static enum err end(enum err e, const char *path, struct json_object *file, int held)
{
    if (e == ERR_OK)
        e = save(path, file);
    json_object_put(file);
    (void)close(held);
    return e;
}

enum err people_begin(const char *path)
{
    static const char nobody[] = "{\"users\":[]}";
    return file_write(path, nobody, strlen(nobody), 0600);
}

static enum err hash_new(const struct secret *password, char ret[static CRYPT_OUTPUT_SIZE])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (password->len < PASSWORD_MIN)
        return ERR_RANGE;
    TRY(fresh_setting(setting));
    return hash(password, setting, ret);
}

enum err people_add(const char *path, const char *name, enum people_role role, const struct secret *password)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    struct json_object *file = NULL, *there;
    int held;
    if (!people_name_is_good(name))
        return ERR_FORMAT;
    TRY(hash_new(password, hashed));
    TRY(begin(path, &file, &held));
    enum err e = find_user(file, name, &there);
    if (e == ERR_OK)
        e = ERR_CONFLICT;
    else if (e == ERR_NOT_FOUND)
        e = append(file, name, role, hashed);
    return end(e, path, file, held);
}

enum err people_remove(const char *path, const char *name)
{
    struct json_object *file = NULL, *users;
    size_t at;
    int held;
    TRY(begin(path, &file, &held));
    enum err e = find(file, name, &users, &at);
    if (e == ERR_OK && json_object_array_del_idx(users, at, 1) != 0)
        e = ERR_INTERNAL;
    return end(e, path, file, held);
}

/* value: NULL takes the member away */
static enum err set(const char *path, const char *name, const char *member, const char *value)
{
    struct json_object *file = NULL, *user;
    int held;
    TRY(begin(path, &file, &held));
    enum err e = find_user(file, name, &user);
    if (e == ERR_OK) {
        json_object_object_del(user, member);
        if (value != NULL)
            json_object_object_add(user, member, json_object_new_string(value));
    }
    return end(e, path, file, held);
}

enum err people_set_role(const char *path, const char *name, enum people_role role)
{
    return set(path, name, "role", people_role_text(role));
}

enum err people_set_password(const char *path, const char *name, const struct secret *password)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    TRY(hash_new(password, hashed));
    return set(path, name, "password", hashed);
}

enum err people_set_totp(const char *path, const char *name, const uint8_t *seed)
{
    char text[BASE32_LEN(TOTP_SECRET) + 1];
    if (seed == NULL)
        return set(path, name, "totp", NULL);
    base32_encode(seed, TOTP_SECRET, text);
    enum err e = set(path, name, "totp", text);
    cr_wipe(text, sizeof text);
    return e;
}

static enum err read_row(struct json_object *user, struct people_row *ret)
{
    const char *name, *role;
    TRY(json_get_text(user, "name", PEOPLE_NAME, &name));
    TRY(json_get_text(user, "role", PEOPLE_NAME, &role));
    memcpy(ret->name, name, strlen(name) + 1);
    if (people_role_from_text(role, &ret->role) != ERR_OK)
        ret->role = 0;
    ret->has_totp = json_object_object_get_ex(user, "totp", NULL);
    return ERR_OK;
}

static enum err read_rows(struct json_object *file, struct people_row **ret, size_t *ret_n)
{
    struct json_object *users;
    TRY(json_get_array(file, "users", PEOPLE_MAX, &users));
    size_t n = json_object_array_length(users);
    struct people_row *rows = calloc(n + 1, sizeof *rows);
    enum err e = rows == NULL ? ERR_NOMEM : ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < n; i++)
        e = read_row(json_object_array_get_idx(users, i), &rows[i]);
    if (e != ERR_OK) {
        free(rows);
        return e;
    }
    *ret = rows;
    *ret_n = n;
    return ERR_OK;
}

enum err people_list(const char *path, struct people_row **ret, size_t *ret_n)
{
    struct json_object *file = NULL;
    TRY(load(path, &file));
    enum err e = read_rows(file, ret, ret_n);
    json_object_put(file);
    return e == ERR_NOT_FOUND || e == ERR_RANGE ? ERR_FORMAT : e;
}

static enum err read_totp(struct json_object *user, struct person *ret)
{
    const char *text;
    size_t len;
    enum err e = json_get_text(user, "totp", BASE32_LEN(TOTP_SECRET), &text);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    TRY(base32_decode(text, strlen(text), ret->totp, sizeof ret->totp, &len));
    ret->has_totp = len == sizeof ret->totp;
    return ret->has_totp ? ERR_OK : ERR_FORMAT;
}

static enum err check_user(struct json_object *user, const struct secret *password, struct person *ret)
{
    struct person p = {.role = 0};
    char hashed[CRYPT_OUTPUT_SIZE];
    const char *want, *role;
    TRY(json_get_text(user, "password", CRYPT_OUTPUT_SIZE - 1, &want));
    TRY(json_get_text(user, "role", PEOPLE_NAME, &role));
    TRY(people_role_from_text(role, &p.role));
    TRY(read_totp(user, &p));
    TRY(hash(password, want, hashed));
    if (strlen(hashed) != strlen(want) || !cr_equal(hashed, want, strlen(want)))
        return ERR_AUTH;
    *ret = p;
    return ERR_OK;
}

/* The work of a check, for nothing. */
static enum err waste(const struct secret *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], hashed[CRYPT_OUTPUT_SIZE];
    TRY(fresh_setting(setting));
    TRY(hash(password, setting, hashed));
    return ERR_AUTH;
}

enum err people_known(const char *path, const char *name, bool *ret)
{
    struct json_object *file = NULL, *user;
    TRY(load(path, &file));
    enum err e = find_user(file, name, &user);
    json_object_put(file);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
}

enum err people_check(const char *path, const char *name, const struct secret *password, struct person *ret)
{
    struct json_object *file = NULL, *user;
    TRY(load(path, &file));
    enum err e = find_user(file, name, &user);
    if (e == ERR_OK)
        e = check_user(user, password, ret);
    else if (e == ERR_NOT_FOUND)
        e = waste(password);
    json_object_put(file);
    return e;
}
