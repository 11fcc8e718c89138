#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer between a web worker that may be taken over and the stores: what each program of the suite
 * test_writer_* begins with. The store is in memory; its faults are played. */

#include "escrow-server/pki.h"
#include "escrow-server/writer/writer.h"
#include <setjmp.h>
#include <stdarg.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

struct device {
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    struct store_device d;
};

extern struct writer_state w;
extern struct store_ops ops;
extern struct chan web, back; /* the web worker's end, and the writer's */
extern struct device device;  /* enrolled and approved */
extern struct cr_p256_pub receipt_pub;
extern unsigned n_marks, fail_mark, n_puts, fail_put; /* which call fails, from 1 */

/* A writer with that device, and its end. */
int open_writer(void **state);
int close_writer(void **state);
#define WRITER_TEST(f) cmocka_unit_test_setup_teardown(f, open_writer, close_writer)

/* A store that is worth a turn for many records, as PostgreSQL: what is posted is put when the first answer
 * is taken, and where one fails, none has an answer. */
#define POSTED_MAX 20
struct played_turn {
    unsigned n, next, turns, kept; /* kept: so many it has room for */
    struct {
        struct store_record r;
        uint8_t bytes[RECORD_MAX];
        struct store_put put;
    } item[POSTED_MAX];
    uint8_t poison[32]; /* name of a record that cannot be put */
};
extern struct played_turn turn;
/* From now on the store is such a one, with room for so many. */
void take_turns(unsigned kept);

/* A device with a new key, which the store does not know. */
void make_device(struct device *ret);

struct signed_record {
    uint8_t bytes[RECORD_MAX], name[32];
    size_t len;
};
/* A report that it signs, with that number. */
void make_report(const struct device *d, uint64_t sequence, struct signed_record *ret);

/* The web worker sends it, and the writer takes it in. */
void take_sync(struct batch *b, uint64_t id, const struct msg_sync *m);
/* The web worker says: these bytes are a record of that device. */
void put_sync(struct batch *b, uint64_t id, const uint8_t device_id[static 32],
              const struct signed_record *r);
/* Does the answer have a receipt for this record? ret_type: of the answer */
bool receipted(uint64_t id, const struct signed_record *r, uint8_t *ret_type);

/* Orders that wait: of any device, and of the one above. */
unsigned count_orders_of(const uint8_t id[static 32]);
unsigned count_orders(void);
