/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/tpm_status.h"
#include <stdio.h>

#define TEXT 480

static void add_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

static void add_state(struct json_object *o, const struct tpm_state *s)
{
    char firmware[4 * 6];
    struct json_object *l = json_object_new_object();
    (void)snprintf(firmware, sizeof firmware, "%u.%u.%u.%u", s->firmware[0], s->firmware[1], s->firmware[2],
                   s->firmware[3]);
    add_text(o, "manufacturer", s->manufacturer);
    add_text(o, "model", s->model);
    add_text(o, "firmware", firmware);
    json_object_object_add(l, "count", json_object_new_int64(s->lockout_count));
    json_object_object_add(l, "max", json_object_new_int64(s->lockout_max));
    json_object_object_add(l, "interval_s", json_object_new_int64(s->lockout_interval_s));
    json_object_object_add(l, "locked", json_object_new_boolean(s->locked_out));
    json_object_object_add(o, "lockout", l);
}

/* One that does not answer, or whose answer is no, in words. */
static const char *reason(enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return "it is not there";
    case ERR_CONFLICT:
        return "it was cleared or replaced while the keeper ran; restart the keeper";
    case ERR_BUSY:
        return "it is busy";
    case ERR_AUTH:
        return "its owner set a password, which Keyholt does not know";
    case ERR_DENIED:
        return "it is switched off for its owner in the firmware's settings, or the device may not be opened";
    case ERR_UNSUPPORTED:
        return "it has no P-256";
    default:
        return err_text(e);
    }
}

static void say_dead(char *ret, enum err e)
{
    (void)snprintf(ret, TEXT,
                   "the device key is in a TPM that cannot be used now: %s. Records wait until it can; if it "
                   "is gone for good, enrol this computer again: keyholt-agent enroll --bundle DIR",
                   reason(e));
}

static void say_answering(char *ret, const struct agent *a, const struct tpm_state *s)
{
    int n = snprintf(ret, TEXT, "%s %s, firmware %u.%u.%u.%u; the device key is %s", s->manufacturer,
                     s->model, s->firmware[0], s->firmware[1], s->firmware[2], s->firmware[3],
                     a->key.place == DEVICE_KEY_TPM
                         ? "in it"
                         : "in a file; TPM present: it takes the key when this computer is enrolled anew");
    if (s->locked_out)
        (void)snprintf(
            ret + n, TEXT - (size_t)n,
            "; locked out after %u wrong authorisations (none of them Keyholt's, which it does not "
            "stop)",
            s->lockout_count);
}

static enum err look(struct agent *a, struct tpm_state *s)
{
    TRY(tpm_begin(a->tpm));
    enum err e = tpm_state(a->tpm, s);
    if (e == ERR_OK)
        e = a->key.place == DEVICE_KEY_TPM ? tpm_check(a->tpm, &a->key.blob) : tpm_probe(a->tpm);
    tpm_end(a->tpm);
    return e;
}

struct json_object *tpm_json(struct agent *a)
{
    struct json_object *o = json_object_new_object();
    struct tpm_state s = {.manufacturer = ""};
    char text[TEXT] = "no TPM: the device key is a file that only root can read";
    bool in_tpm = a->key.place == DEVICE_KEY_TPM, is_there = tpm_is_there(a->tpm);
    enum err e = is_there ? look(a, &s) : ERR_NOT_FOUND;
    if (e == ERR_OK)
        say_answering(text, a, &s);
    else if (in_tpm)
        say_dead(text, e);
    else if (is_there)
        (void)snprintf(text, sizeof text, "the device key is in a file; TPM present, but %s", reason(e));
    json_object_object_add(o, "present", json_object_new_boolean(is_there));
    json_object_object_add(o, "identity", json_object_new_boolean(in_tpm));
    add_text(o, "text", text);
    add_text(o, "problem", e == ERR_OK || (!is_there && !in_tpm) ? NULL : reason(e));
    if (s.manufacturer[0]) /* it answered that far */
        add_state(o, &s);
    return o;
}
