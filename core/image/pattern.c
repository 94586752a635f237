/* SPDX-License-Identifier: Apache-2.0
 *
 * Scanning. The only file of core that calls Hyperscan's runtime.
 */
#include "pattern.h"

#include <hs/hs_runtime.h>
#include <stdlib.h>

struct l7s_scratch {
    hs_scratch_t *memory; /* NULL: none yet */
    uint64_t stamp;       /* of the databases that it was made for */
};

l7s_scratch_t *l7s_scratch_create(void)
{
    return calloc(1, sizeof(l7s_scratch_t));
}

void l7s_scratch_free(l7s_scratch_t *scratch)
{
    if (scratch != NULL) {
        (void)hs_free_scratch(scratch->memory);
        free(scratch);
    }
}

bool l7s_scratch_fits(const l7s_scratch_t *scratch, uint64_t stamp)
{
    return scratch->memory != NULL && scratch->stamp == stamp;
}

l7s_status_t l7s_scratch_grow(l7s_scratch_t *scratch, const void *database)
{
    scratch->stamp = 0;
    switch (hs_alloc_scratch(database, &scratch->memory)) {
    case HS_SUCCESS:
        return L7S_OK;
    case HS_NOMEM:
        return L7S_NO_MEMORY;
    default:
        return L7S_INVALID;
    }
}

void l7s_scratch_fitted(l7s_scratch_t *scratch, uint64_t stamp)
{
    scratch->stamp = stamp;
}

size_t l7s_scratch_size(const l7s_scratch_t *scratch)
{
    size_t size = 0;

    return hs_scratch_size(scratch->memory, &size) == HS_SUCCESS ? size : 0;
}

bool l7s_pattern_check(const void *database, size_t size)
{
    size_t found = 0;

    /* The library reads the head, which is this long, without asking. */
    return (uintptr_t)database % L7S_DATABASE_ALIGNMENT == 0 && size >= 256 &&
           hs_database_size(database, &found) == HS_SUCCESS && found <= size;
}

typedef struct {
    uint64_t *hits;
    uint32_t patterns;
} found_t;

static int note(unsigned id, unsigned long long from, unsigned long long to,
                unsigned flags, void *context)
{
    const found_t *found = context;

    (void)from;
    (void)to;
    (void)flags;
    if (id < found->patterns) {
        found->hits[id / 64] |= 1ULL << id % 64;
    }
    return 0;
}

bool l7s_pattern_scan(l7s_scratch_t *scratch, const void *database, const char *text,
                      size_t length, uint64_t *hits, uint32_t patterns)
{
    found_t found = {hits, patterns};

    length = length < L7S_SCAN_MAX ? length : L7S_SCAN_MAX;
    return hs_scan(database, text, (unsigned)length, 0, scratch->memory, note, &found) ==
           HS_SUCCESS;
}
