/* SPDX-License-Identifier: Apache-2.0
 *
 * See frequent.h. When all counters are taken, their median is taken from each: half of
 * them end, so that costs each new hash little.
 */
#include "frequent.h"

#include "../../core/schema/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (2 * ADMIN_FREQUENT)

struct admin_frequent {
    uint64_t hashes[PLACES]; /* 0: never taken */
    uint64_t counts[PLACES];
    uint32_t used; /* places with a count */
    uint64_t error;
    char texts[PLACES][ADMIN_FREQUENT_TEXT];
};

admin_frequent_t *admin_frequent_create(void)
{
    return calloc(1, sizeof(admin_frequent_t));
}

void admin_frequent_free(admin_frequent_t *frequent)
{
    free(frequent);
}

static uint32_t place_of(const admin_frequent_t *frequent, uint64_t hash)
{
    uint32_t at = (uint32_t)hash % PLACES;

    while (frequent->hashes[at] != 0 && frequent->hashes[at] != hash) {
        at = (at + 1) % PLACES;
    }
    return at;
}

/* Puts those that still have a count to where they are found. False: no memory. */
static bool rebuild(admin_frequent_t *frequent)
{
    admin_frequent_t *before = malloc(sizeof *before);

    if (before == NULL) {
        return false;
    }
    memcpy(before, frequent, sizeof *before);
    memset(frequent->hashes, 0, sizeof frequent->hashes);
    memset(frequent->counts, 0, sizeof frequent->counts);
    frequent->used = 0;
    for (uint32_t i = 0; i < PLACES; i++) {
        if (before->counts[i] > 0) {
            uint32_t at = place_of(frequent, before->hashes[i]);
            frequent->hashes[at] = before->hashes[i];
            frequent->counts[at] = before->counts[i];
            memcpy(frequent->texts[at], before->texts[i], ADMIN_FREQUENT_TEXT);
            frequent->used++;
        }
    }
    free(before);
    return true;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t median(const admin_frequent_t *frequent)
{
    uint64_t counts[ADMIN_FREQUENT];
    size_t count = 0;

    for (uint32_t i = 0; i < PLACES; i++) {
        if (frequent->counts[i] > 0) {
            counts[count++] = frequent->counts[i];
        }
    }
    qsort(counts, count, sizeof *counts, ascending);
    return counts[count / 2];
}

/* False: no memory; then nothing has changed but that counts are lower. */
static bool thin_out(admin_frequent_t *frequent)
{
    uint64_t less = median(frequent);

    for (uint32_t i = 0; i < PLACES; i++) {
        frequent->counts[i] -= frequent->counts[i] < less ? frequent->counts[i] : less;
    }
    frequent->error += less;
    return rebuild(frequent);
}

void admin_frequent_add(admin_frequent_t *frequent, uint64_t hash,
                        admin_frequent_text_fn text, const void *context)
{
    hash += hash == 0;
    uint32_t at = place_of(frequent, hash);
    if (frequent->hashes[at] == hash) {
        frequent->counts[at]++;
        return;
    }
    if (frequent->used == ADMIN_FREQUENT) {
        if (!thin_out(frequent)) {
            return;
        }
        at = place_of(frequent, hash);
    }
    frequent->hashes[at] = hash;
    frequent->counts[at] = 1;
    frequent->used++;
    text(context, frequent->texts[at]);
}

typedef struct {
    uint64_t count;
    const char *text;
} row_t;

static int by_count(const void *a, const void *b)
{
    const row_t *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count ? 1 : -1)
                                : strcmp(x->text, y->text);
}

json_t *admin_frequent_json(const admin_frequent_t *frequent, size_t limit)
{
    row_t rows[PLACES];
    size_t count = 0;
    json_t *out = json_array();

    for (uint32_t i = 0; i < PLACES; i++) {
        if (frequent->counts[i] > 0) {
            rows[count++] = (row_t){frequent->counts[i], frequent->texts[i]};
        }
    }
    qsort(rows, count, sizeof *rows, by_count);
    for (size_t i = 0; i < count && i < limit; i++) {
        char text[ADMIN_FREQUENT_TEXT];
        l7s_utf8_copy(text, sizeof text, rows[i].text);
        json_array_append_new(out, json_pack("{s:s, s:I}", "value", text, "count",
                                             (json_int_t)rows[i].count));
    }
    return out;
}

uint64_t admin_frequent_error(const admin_frequent_t *frequent)
{
    return frequent->error;
}
