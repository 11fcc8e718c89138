/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Windows shows as zeros: a sorted list of ranges that do not touch. */
#include "formats/bitlocker_format.h"

void bitlocker_ranges_add(struct bitlocker_volume *v, uint64_t off, uint64_t len)
{
    const struct bitlocker *b = v->b;
    uint64_t end;
    if (off >= b->size || v->n_zeros == BITLOCKER_RANGES)
        return;
    if (__builtin_add_overflow(off, len, &end) || end > b->size)
        end = b->size;
    off -= off % b->sector_size;
    end -= end % b->sector_size;
    if (off < end)
        b->room->zeros[v->n_zeros++] = (struct bitlocker_range){off, end};
}

/* Shell's sort with the gaps n/2, n/4, …: no recursion, no memory, never quadratic on what is nearly sorted.
 */
static void sort(struct bitlocker_range *p, unsigned n)
{
    for (unsigned gap = n / 2; gap > 0; gap /= 2)
        for (unsigned i = gap; i < n; i++) {
            struct bitlocker_range x = p[i];
            unsigned k = i;
            for (; k >= gap && p[k - gap].off > x.off; k -= gap)
                p[k] = p[k - gap];
            p[k] = x;
        }
}

void bitlocker_ranges_sort(struct bitlocker_volume *v)
{
    struct bitlocker_range *p = v->b->room->zeros;
    unsigned n = 0;
    sort(p, v->n_zeros);
    for (unsigned i = 0; i < v->n_zeros; i++)
        if (n > 0 && p[i].off <= p[n - 1].end)
            p[n - 1].end = p[i].end > p[n - 1].end ? p[i].end : p[n - 1].end;
        else
            p[n++] = p[i];
    v->n_zeros = n;
    v->zeros = p;
}
