/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing sections and tables of strings. It knows the layout, not what a policy means.
 */
#include "image_builder.h"

#include <stdlib.h>
#include <string.h>

/* Doubling, bounded by what an image may hold. */
bool l7s_vector_reserve(l7s_vector_t *vector, size_t width, size_t count)
{
    size_t room = vector->room ? vector->room : 16;
    void *items;

    if (count > L7S_IMAGE_MAX / width - vector->count) {
        return false;
    }
    while (room < vector->count + count) {
        room *= 2;
    }
    if (room == vector->room) {
        return true;
    }
    items = realloc(vector->items, room * width);
    if (items == NULL) {
        return false;
    }
    vector->items = items;
    vector->room = room;
    return true;
}

void l7s_builder_begin(l7s_builder_t *builder)
{
    memset(builder, 0, sizeof *builder);
    l7s_builder_add(builder, L7S_SECTION_TEXT, "", 1);
}

void l7s_builder_end(l7s_builder_t *builder)
{
    for (unsigned i = 0; i < L7S_SECTIONS; i++) {
        free(builder->sections[i].items);
    }
}

uint32_t l7s_builder_add(l7s_builder_t *builder, l7s_section_id_t section,
                         const void *records, size_t count)
{
    l7s_vector_t *vector = &builder->sections[section];
    size_t width = l7s_section_width[section];
    uint32_t first = (uint32_t)vector->count;
    uint8_t *end;

    if (count == 0 || builder->failed) {
        return first;
    }
    if (!l7s_vector_reserve(vector, width, count)) {
        builder->failed = true;
        return 0;
    }
    end = (uint8_t *)vector->items + vector->count * width;
    if (records != NULL) {
        memcpy(end, records, count * width);
    } else {
        memset(end, 0, count * width);
    }
    vector->count += count;
    return first;
}

void *l7s_builder_at(l7s_builder_t *builder, l7s_section_id_t section, uint32_t index)
{
    uint8_t *items = builder->sections[section].items;

    /* A section that has none has no memory: nothing may be added to NULL. */
    return items != NULL ? items + (size_t)index * l7s_section_width[section] : NULL;
}

uint32_t l7s_builder_count(const l7s_builder_t *builder, l7s_section_id_t section)
{
    return (uint32_t)builder->sections[section].count;
}

uint32_t l7s_builder_text(l7s_builder_t *builder, const char *text)
{
    if (text == NULL || *text == '\0') {
        return 0;
    }
    return l7s_builder_add(builder, L7S_SECTION_TEXT, text, strlen(text) + 1);
}

l7s_run_t l7s_builder_texts(l7s_builder_t *builder, const l7s_strings_t *strings,
                            bool (*wanted)(const char *text))
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < strings->count; i++) {
        uint32_t at;
        if (wanted != NULL && !wanted(strings->items[i])) {
            continue;
        }
        at = l7s_builder_text(builder, strings->items[i]);
        at = l7s_builder_add(builder, L7S_SECTION_REFS, &at, 1);
        run.first = run.count++ == 0 ? at : run.first;
    }
    return run;
}

uint32_t l7s_builder_set(l7s_builder_t *builder)
{
    return l7s_builder_add(builder, L7S_SECTION_SETS, NULL, builder->head.words);
}

void l7s_builder_set_bit(l7s_builder_t *builder, uint32_t set, uint32_t bit)
{
    if (!builder->failed) {
        uint64_t *words = l7s_builder_at(builder, L7S_SECTION_SETS, set);
        words[bit / 64] |= 1ULL << bit % 64;
    }
}

static size_t align(size_t at, size_t unit)
{
    return (at + unit - 1) / unit * unit;
}

/* Places the sections behind the head, each at a multiple of 8; databases need more. */
static size_t arrange(l7s_builder_t *builder)
{
    size_t at = align(sizeof builder->head, 8);

    for (unsigned i = 0; i < L7S_SECTIONS && at <= L7S_IMAGE_MAX; i++) {
        if (i == L7S_SECTION_PATTERNS && builder->sections[i].count > 0) {
            at = align(at, L7S_DATABASE_ALIGNMENT);
        }
        builder->head.sections[i] =
            (l7s_section_t){(uint32_t)at, (uint32_t)builder->sections[i].count};
        at += align(builder->sections[i].count * l7s_section_width[i], 8);
    }
    return at;
}

l7s_status_t l7s_builder_finish(l7s_builder_t *builder, void *memory, size_t capacity,
                                size_t *size)
{
    *size = arrange(builder);
    if (builder->failed) {
        return L7S_NO_MEMORY;
    }
    if (*size > capacity || *size > L7S_IMAGE_MAX) {
        return L7S_TOO_BIG;
    }
    builder->head.magic = L7S_IMAGE_MAGIC;
    builder->head.version = L7S_IMAGE_VERSION;
    builder->head.size = *size;
    memset(memory, 0, *size);
    memcpy(memory, &builder->head, sizeof builder->head);
    for (unsigned i = 0; i < L7S_SECTIONS; i++) {
        if (builder->sections[i].count > 0) {
            memcpy((uint8_t *)memory + builder->head.sections[i].at,
                   builder->sections[i].items,
                   builder->sections[i].count * l7s_section_width[i]);
        }
    }
    return L7S_OK;
}

/* --- tables of strings --- */

void l7s_draft_add(l7s_builder_t *builder, l7s_draft_t *draft, const char *text,
                   size_t length, uint32_t value, bool maybe)
{
    l7s_draft_entry_t *entries;

    if (length == 0) {
        return;
    }
    if (!l7s_vector_reserve(&draft->entries, sizeof *entries, 1)) {
        builder->failed = true;
        return;
    }
    entries = draft->entries.items;
    entries[draft->entries.count++] =
        (l7s_draft_entry_t){text, (uint32_t)length, value, maybe};
}

static int same_text(const l7s_draft_entry_t *a, const l7s_draft_entry_t *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static int by_text(const void *left, const void *right)
{
    const l7s_draft_entry_t *a = left, *b = right;
    int order = a->length < b->length ? -1 : a->length > b->length;

    if (order == 0) {
        order = memcmp(a->text, b->text, a->length);
    }
    /* Among equals the lowest value first: of two names the first one counts. */
    return order != 0 ? order : a->value < b->value ? -1 : a->value > b->value;
}

static uint32_t hash_entry(const l7s_draft_entry_t *entry, bool backward)
{
    uint32_t hash = L7S_FNV_BASIS;

    for (uint32_t i = 0; i < entry->length; i++) {
        hash = l7s_fnv_step(hash, entry->text[backward ? entry->length - 1 - i : i]);
    }
    return hash;
}

/* Sorted, so that equal strings stand together; returns how many different ones. */
static size_t sort_draft(l7s_draft_t *draft)
{
    l7s_draft_entry_t *entries = draft->entries.items;
    size_t distinct = draft->entries.count > 0;

    if (draft->entries.count > 1) {
        qsort(entries, draft->entries.count, sizeof *entries, by_text);
    }
    for (size_t i = 1; i < draft->entries.count; i++) {
        distinct += !same_text(&entries[i - 1], &entries[i]);
    }
    return distinct;
}

static void place_entry(l7s_builder_t *builder, const l7s_names_t *names,
                        const l7s_entry_t *entry)
{
    l7s_entry_t *entries;
    uint32_t place = l7s_entry_place(entry->hash, names->mask);

    if (builder->failed) {
        return;
    }
    entries = l7s_builder_at(builder, L7S_SECTION_ENTRIES, names->first);
    while (entries[place].length != 0) {
        place = (place + 1) & names->mask;
    }
    entries[place] = *entry;
}

/* The text of a key, which need not end where its string in the configuration does. */
static uint32_t add_key_text(l7s_builder_t *builder, const l7s_draft_entry_t *entry)
{
    uint32_t at = l7s_builder_add(builder, L7S_SECTION_TEXT, entry->text, entry->length);

    l7s_builder_add(builder, L7S_SECTION_TEXT, "", 1);
    return at;
}

/* The run of equal strings becomes one entry with two sets; set 0 is the empty one. */
static l7s_entry_t join_sets(l7s_builder_t *builder, const l7s_draft_entry_t *run,
                             size_t count)
{
    l7s_entry_t entry = {0};

    for (size_t i = 0; i < count; i++) {
        uint32_t *set = run[i].maybe ? &entry.maybe : &entry.sure;
        if (*set == 0) {
            *set = l7s_builder_set(builder);
        }
        l7s_builder_set_bit(builder, *set, run[i].value);
    }
    return entry;
}

static l7s_names_t finish_draft(l7s_builder_t *builder, l7s_draft_t *draft, bool sets)
{
    const l7s_draft_entry_t *entries = draft->entries.items;
    size_t distinct = sort_draft(draft), places = 2, run;
    l7s_names_t names = {0};

    while (places < 2 * distinct) {
        places *= 2;
    }
    names.mask = (uint32_t)places - 1;
    names.first = l7s_builder_add(builder, L7S_SECTION_ENTRIES, NULL, places);
    for (size_t i = 0; i < draft->entries.count; i += run) {
        l7s_entry_t entry = {.sure = entries[i].value};
        for (run = 1; i + run < draft->entries.count; run++) {
            if (!same_text(&entries[i], &entries[i + run])) {
                break;
            }
        }
        if (sets) {
            entry = join_sets(builder, &entries[i], run);
        }
        entry.hash = hash_entry(&entries[i], draft->backward);
        entry.length = entries[i].length;
        entry.text = add_key_text(builder, &entries[i]);
        place_entry(builder, &names, &entry);
        names.lengths |= 1ULL << (entry.length < 63 ? entry.length : 63);
    }
    free(draft->entries.items);
    draft->entries = (l7s_vector_t){0};
    return names;
}

l7s_names_t l7s_draft_sets(l7s_builder_t *builder, l7s_draft_t *draft)
{
    return finish_draft(builder, draft, true);
}

l7s_names_t l7s_draft_names(l7s_builder_t *builder, l7s_draft_t *draft)
{
    return finish_draft(builder, draft, false);
}
