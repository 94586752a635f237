/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges to intervals: sort where policies begin and cease to admit, sweep once, write an
 * interval wherever the set changes. Equal sets are stored once.
 */
#include "compile_client.h"

#include <stdlib.h>
#include <string.h>

/* Sets of this many words at most, should every edge have one of its own: 1 MB. */
#define SET_WORDS_MAX ((size_t)1 << 17)

/* From this address on `bit` is in (or out). */
typedef struct {
    uint64_t hi, lo;
    uint32_t bit;
    bool in;
} edge_t;

/* Sets by content: open addressing, `places` is a power of two, 0 is free. */
typedef struct {
    uint32_t *sets;
    size_t places;
} set_table_t;

void l7s_client_begin(l7s_client_draft_t *draft, l7s_builder_t *builder)
{
    memset(draft, 0, sizeof *draft);
    draft->builder = builder;
    draft->any = l7s_builder_set(builder);
    draft->room = SET_WORDS_MAX / 2 / builder->head.words;
}

void l7s_client_add_any(l7s_client_draft_t *draft, uint32_t bit)
{
    l7s_builder_set_bit(draft->builder, draft->any, bit);
}

static uint64_t load_be64(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static void add_edge(l7s_client_draft_t *draft, l7s_vector_t *edges, edge_t edge)
{
    if (!l7s_vector_reserve(edges, sizeof edge, 1)) {
        draft->builder->failed = true;
        return;
    }
    ((edge_t *)edges->items)[edges->count++] = edge;
}

/* The first address tells the family: a range of IPv4 lies within the mapped block. */
static void add_range(l7s_client_draft_t *draft, uint32_t bit,
                      const l7s_addr_range_t *range)
{
    bool v4 = l7s_addr_is_v4(&range->first);
    l7s_vector_t *edges = v4 ? &draft->edges4 : &draft->edges6;
    edge_t begin = {load_be64(range->first.bytes), load_be64(range->first.bytes + 8), bit,
                    true};
    edge_t end = {load_be64(range->last.bytes), load_be64(range->last.bytes + 8), bit,
                  false};

    if (v4) {
        begin.hi = end.hi = 0;
        begin.lo &= UINT32_MAX;
        end.lo &= UINT32_MAX;
    }
    add_edge(draft, edges, begin);
    if (v4 ? end.lo == UINT32_MAX : (end.hi & end.lo) == UINT64_MAX) {
        return; /* up to the last address: it never ceases */
    }
    end.hi += end.lo == UINT64_MAX;
    end.lo++;
    add_edge(draft, edges, end);
}

bool l7s_client_add(l7s_client_draft_t *draft, uint32_t bit,
                    const l7s_addr_range_t *ranges, size_t count)
{
    if (count > draft->room) {
        l7s_client_add_any(draft, bit);
        return false;
    }
    draft->room -= count;
    for (size_t i = 0; i < count; i++) {
        add_range(draft, bit, &ranges[i]);
    }
    draft->builder->head.client_indexed = 1;
    return true;
}

static int by_place(const void *left, const void *right)
{
    const edge_t *a = left, *b = right;

    if (a->hi != b->hi) {
        return a->hi < b->hi ? -1 : 1;
    }
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* The set with these words, made when it is new. */
static uint32_t intern(l7s_builder_t *builder, set_table_t *table, const uint64_t *words)
{
    uint32_t count = builder->head.words, set;
    uint64_t hash = 14695981039346656037ULL;
    size_t place;

    for (uint32_t w = 0; w < count; w++) {
        hash = (hash ^ words[w]) * 1099511628211ULL;
        hash ^= hash >> 29;
    }
    place = (size_t)hash & (table->places - 1);
    for (; table->sets[place] != 0; place = (place + 1) & (table->places - 1)) {
        set = table->sets[place];
        if (memcmp(l7s_builder_at(builder, L7S_SECTION_SETS, set), words,
                   count * sizeof *words) == 0) {
            return set;
        }
    }
    set = l7s_builder_add(builder, L7S_SECTION_SETS, words, count);
    table->sets[place] = set;
    return set;
}

static void add_interval(l7s_builder_t *builder, bool v4, const edge_t *from,
                         uint32_t set)
{
    l7s_interval4_t four = {(uint32_t)from->lo, set};
    l7s_interval6_t six = {.hi = from->hi, .lo = from->lo, .set = set};

    if (v4) {
        l7s_builder_add(builder, L7S_SECTION_INTERVALS4, &four, 1);
    } else {
        l7s_builder_add(builder, L7S_SECTION_INTERVALS6, &six, 1);
    }
}

/* The first interval begins at the first address, so that a search always finds one. */
static void sweep(l7s_client_draft_t *draft, const l7s_vector_t *edges, bool v4,
                  set_table_t *table, uint64_t *words)
{
    l7s_builder_t *builder = draft->builder;
    const edge_t *edge = edges->items;
    const edge_t zero = {0, 0, 0, false};
    size_t i = 0;

    memcpy(words, l7s_builder_at(builder, L7S_SECTION_SETS, draft->any),
           builder->head.words * sizeof *words);
    if (edges->count == 0 || by_place(&edge[0], &zero) != 0) {
        add_interval(builder, v4, &zero, intern(builder, table, words));
    }
    while (i < edges->count && !builder->failed) {
        const edge_t *from = &edge[i];
        for (; i < edges->count && by_place(&edge[i], from) == 0; i++) {
            uint64_t bit = 1ULL << edge[i].bit % 64;
            words[edge[i].bit / 64] = edge[i].in ? words[edge[i].bit / 64] | bit
                                                 : words[edge[i].bit / 64] & ~bit;
        }
        add_interval(builder, v4, from, intern(builder, table, words));
    }
}

static void cut(l7s_client_draft_t *draft)
{
    l7s_builder_t *builder = draft->builder;
    uint64_t *words = calloc(builder->head.words, sizeof *words);
    set_table_t table = {.places = 4};

    while (table.places < 2 * (draft->edges4.count + draft->edges6.count + 2)) {
        table.places *= 2;
    }
    table.sets = calloc(table.places, sizeof *table.sets);
    if (words == NULL || table.sets == NULL) {
        builder->failed = true;
    } else {
        sweep(draft, &draft->edges4, true, &table, words);
        sweep(draft, &draft->edges6, false, &table, words);
    }
    free(table.sets);
    free(words);
}

static void sort(l7s_vector_t *edges)
{
    if (edges->count > 1) {
        qsort(edges->items, edges->count, sizeof(edge_t), by_place);
    }
}

void l7s_client_finish(l7s_client_draft_t *draft)
{
    if (draft->builder->head.client_indexed && !draft->builder->failed) {
        sort(&draft->edges4);
        sort(&draft->edges6);
        cut(draft);
    }
    free(draft->edges4.items);
    free(draft->edges6.items);
}
