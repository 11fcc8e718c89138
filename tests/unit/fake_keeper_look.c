/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the locked volume gives to somebody with an escrow key; and a server's receipt, without a server. */
#include "tests/unit/fake_keeper.h"
#include "tests/unit/fake_keeper_parts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static bool password_of(const struct luks2_token *t, struct secret *ret_text)
{
    SECRET(bytes);
    if (envelope_open(t->envelope, t->envelope_len, &fake_org, fake_escrow, &bytes) != ERR_OK)
        return false;
    rp_encode(bytes.bytes, ret_text);
    return true;
}

static bool is_recovery(const struct luks2_slot *s)
{
    return s->used && s->iterations >= KH_PBKDF2_MIN && s->iterations <= KH_PBKDF2_MAX;
}

static void look_at_token(const struct luks2 *l, const struct luks2_token *t, struct fake_way_in *w)
{
    SECRET(text);
    w->tokens++;
    if (!password_of(t, &text))
        return;
    /* a keyslot that does not exist (yet) opens nothing; the password is tried on the one it is for */
    bool opens = t->slot >= 0 && l->slot[t->slot].used &&
                 fake_disk_opens_slot((unsigned)t->slot, text.bytes, text.len);
    w->opens += opens;
    w->live += opens && t->state == LUKS2_TOKEN_LIVE && t->assigned;
}

void fake_look_from_outside(struct fake_way_in *ret)
{
    const struct luks2 *look = fake_disk_look();
    struct luks2 *l = malloc(sizeof *l); /* looking further overwrites it */
    uint32_t named = 0;
    assert_non_null(l);
    *l = *look;
    *ret = (struct fake_way_in){0};
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &l->token[i];
        ret->management_tokens += t->there && strcmp(t->type, KH_TOKEN_MANAGEMENT) == 0;
        if (!t->used)
            continue;
        if (t->slot >= 0)
            named |= UINT32_C(1) << t->slot;
        look_at_token(l, t, ret);
    }
    for (int i = 0; i < LUKS2_SLOTS; i++) {
        ret->slots += is_recovery(&l->slot[i]);
        ret->unnamed += is_recovery(&l->slot[i]) && (named >> i & 1) == 0;
        ret->management_slots += l->slot[i].used && l->slot[i].iterations >= KH_PBKDF2_MANAGEMENT_MIN;
    }
    free(l);
}

bool fake_password(const struct guid *key_id, struct secret *ret_text)
{
    const struct luks2 *l = fake_disk_look();
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (l->token[i].used && guid_equal(&l->token[i].key_id, key_id))
            return password_of(&l->token[i], ret_text);
    return false;
}

static bool is_escrow_of(const struct cache_record *r, const struct guid *key_id)
{
    struct record *d = malloc(sizeof *d);
    struct envelope e;
    assert_non_null(d);
    assert_int_equal(record_decode(r->bytes, r->len, d), ERR_OK);
    bool is = d->kind == RECORD_ESCROW && envelope_decode(d->envelope, d->envelope_len, &e) == ERR_OK &&
              guid_equal(&e.key_id, key_id);
    free(d);
    return is;
}

static bool is_event(const struct record *d, uint8_t event, uint8_t result, const struct guid *about)
{
    const struct guid *of = event == EVENT_ROTATED ? &d->other_key_id : &d->key_id;
    return d->kind == RECORD_EVENT && d->event == event && (!result || d->result == result) &&
           (!about || guid_equal(of, about));
}

unsigned fake_events(uint8_t event, uint8_t result, const struct guid *about)
{
    static struct cache_record r[64];
    struct record *d = malloc(sizeof *d);
    unsigned n = 0, found = 0;
    assert_non_null(d);
    assert_int_equal(cache_outbox(fake_agent.cache, fake_agent.key.id, r, 64, &n), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(record_decode(r[i].bytes, r[i].len, d), ERR_OK);
        found += is_event(d, event, result, about);
        free(r[i].bytes);
    }
    free(d);
    return found;
}

void fake_receipt(const struct guid *key_id)
{
    struct cache_record r[32];
    unsigned n = 0, settled = 0;
    assert_int_equal(cache_outbox(fake_agent.cache, fake_agent.key.id, r, 32, &n), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        const struct receipt of = {.class = RECEIPT_LOCAL, .time = 1, .n = 1, .names = r[i].name};
        if (is_escrow_of(&r[i], key_id))
            assert_int_equal(cache_add_receipt(fake_agent.cache, r[i].name, 32, &of, &settled), ERR_OK);
        free(r[i].bytes);
    }
    assert_int_equal(settled, 1);
}
