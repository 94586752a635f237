/* SPDX-License-Identifier: Apache-2.0
 *
 * See sample.h. An open table with linear probing. The low bits of a key choose its
 * place, the high ones whether it is in the sample, so a sparser sample fills the table
 * as evenly.
 */
#include "sample.h"

#include <stdlib.h>

#define FIRST 1024u

struct admin_sample {
    admin_sampled_t *entries;
    uint32_t size, max, count;
    unsigned level; /* keys that begin with so many zero bits are in it */
};

admin_sample_t *admin_sample_create(uint32_t max)
{
    admin_sample_t *sample = calloc(1, sizeof *sample);

    if (sample == NULL) {
        return NULL;
    }
    sample->max = max;
    sample->size = max < FIRST ? max : FIRST;
    sample->entries = calloc(sample->size, sizeof *sample->entries);
    if (sample->entries == NULL) {
        free(sample);
        return NULL;
    }
    return sample;
}

void admin_sample_free(admin_sample_t *sample)
{
    if (sample != NULL) {
        free(sample->entries);
        free(sample);
    }
}

static bool is_in(const admin_sample_t *sample, uint64_t key)
{
    return sample->level == 0 || key >> (64 - sample->level) == 0;
}

/* The key's entry, or the free one where it belongs. */
static admin_sampled_t *place_of(const admin_sample_t *sample, uint64_t key)
{
    uint32_t mask = sample->size - 1, at = (uint32_t)key & mask;

    while (sample->entries[at].key != 0 && sample->entries[at].key != key) {
        at = (at + 1) & mask;
    }
    return &sample->entries[at];
}

/* Moves what stays into a table of `size` entries. False: no memory. */
static bool rebuild(admin_sample_t *sample, uint32_t size)
{
    admin_sampled_t *before = sample->entries;
    uint32_t before_size = sample->size;
    admin_sampled_t *entries = calloc(size, sizeof *entries);

    if (entries == NULL) {
        return false;
    }
    sample->entries = entries;
    sample->size = size;
    sample->count = 0;
    for (uint32_t i = 0; i < before_size; i++) {
        if (before[i].key != 0 && is_in(sample, before[i].key)) {
            *place_of(sample, before[i].key) = before[i];
            sample->count++;
        }
    }
    free(before);
    return true;
}

/* Room for one more: a larger table, or half of the keys. Where memory ends, those that
 * are there stay, and the new one is not counted. */
static bool make_room(admin_sample_t *sample)
{
    if (sample->count < sample->size / 4 * 3) {
        return true;
    }
    if (sample->size < sample->max) {
        return rebuild(sample, sample->size * 2);
    }
    sample->level++;
    return rebuild(sample, sample->size);
}

admin_sampled_t *admin_sample_at(admin_sample_t *sample, uint64_t key)
{
    key += key == 0;
    if (!is_in(sample, key)) {
        return NULL;
    }
    admin_sampled_t *entry = place_of(sample, key);
    if (entry->key == key) {
        return entry;
    }
    if (!make_room(sample) || !is_in(sample, key)) {
        return NULL;
    }
    entry = place_of(sample, key);
    entry->key = key;
    sample->count++;
    return entry;
}

void admin_sample_prefetch(const admin_sample_t *sample, uint64_t key)
{
    __builtin_prefetch(&sample->entries[(uint32_t)key & (sample->size - 1)], 1);
}

uint64_t admin_sample_weight(const admin_sample_t *sample)
{
    return (uint64_t)1 << sample->level;
}

uint64_t admin_sample_keys(const admin_sample_t *sample)
{
    return (uint64_t)sample->count << sample->level;
}

uint32_t admin_sample_entries(const admin_sample_t *sample)
{
    return sample->count;
}

void admin_sample_each(const admin_sample_t *sample, admin_sampled_fn visit,
                       void *context)
{
    for (uint32_t i = 0; i < sample->size; i++) {
        if (sample->entries[i].key != 0) {
            visit(context, &sample->entries[i]);
        }
    }
}
