/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_batch.h"
#include "crypto/sha256_sum.h"
#include <string.h>

bool copy_batch_is_full(const struct copy_batch *b, size_t units)
{
    return b->n == COPY_BATCH_FILES || units + 1 > COPY_BATCH_UNITS - b->units ||
           b->bytes >= COPY_BATCH_BYTES;
}

void copy_batch_add(struct copy_batch *b, const uint16_t *path, uint64_t size, const uint8_t sum[static 32])
{
    size_t units = tree_len(path) + 1;
    struct copy_written *f = &b->file[b->n++];
    f->path = (uint32_t)b->units;
    f->size = size;
    memcpy(f->sum, sum, sizeof f->sum);
    memcpy(b->paths + b->units, path, units * sizeof *path);
    b->units += units;
    b->bytes += size;
}

void copy_batch_clear(struct copy_batch *b)
{
    b->n = 0;
    b->units = 0;
    b->bytes = 0;
}

enum err copy_batch_compare(const struct copy_batch *b, unsigned i, const struct tree *t, uint8_t *buffer,
                            size_t len, void (*step)(void *ctx, size_t n), void *ctx)
{
    const struct copy_written *f = &b->file[i];
    struct cr_sha256_sum sum;
    struct tree_node *file;
    uint8_t digest[32];
    size_t n = 0;
    uint64_t size = 0;
    TRY(t->ops->open(t->ctx, NULL, b->paths + f->path, TREE_READ, &file));
    cr_sha256_sum_init(&sum);
    enum err e;
    while ((e = t->ops->read(file, buffer, len, &n)) == ERR_OK && n > 0) {
        cr_sha256_sum_add(&sum, buffer, n);
        size += n;
        step(ctx, n);
    }
    t->ops->close(file);
    TRY(e);
    cr_sha256_sum_end(&sum, digest);
    return size == f->size && memcmp(digest, f->sum, sizeof digest) == 0 ? ERR_OK : ERR_AUTH;
}
