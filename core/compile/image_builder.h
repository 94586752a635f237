/* SPDX-License-Identifier: Apache-2.0
 *
 * An image under construction: one growable array per section, put together at the end.
 * For the compiler only. A failed allocation is remembered and reported once, by
 * l7s_builder_finish; until then every call may be made.
 *
 * A draft is a table of strings under construction: which bit takes which string.
 */
#ifndef L7S_IMAGE_BUILDER_H
#define L7S_IMAGE_BUILDER_H

#include "../image/image_layout.h"
#include "../json/config.h"

typedef struct {
    void *items;
    size_t count, room;
} l7s_vector_t;

/* Makes room for `count` more items of `width` bytes. False: no memory, or too large. */
bool l7s_vector_reserve(l7s_vector_t *vector, size_t width, size_t count);

typedef struct {
    l7s_image_t head;
    l7s_vector_t sections[L7S_SECTIONS];
    bool failed; /* out of memory, or beyond L7S_IMAGE_MAX */
} l7s_builder_t;

void l7s_builder_begin(l7s_builder_t *builder);
void l7s_builder_end(l7s_builder_t *builder);

/* Appends `count` records (NULL: zeroed ones) and returns the index of the first. */
uint32_t l7s_builder_add(l7s_builder_t *builder, l7s_section_id_t section,
                         const void *records, size_t count);
/* The record there, to be changed; valid until the next add. Never after a failure. */
void *l7s_builder_at(l7s_builder_t *builder, l7s_section_id_t section, uint32_t index);
uint32_t l7s_builder_count(const l7s_builder_t *builder, l7s_section_id_t section);

/* Appends a string; "" and NULL are offset 0. */
uint32_t l7s_builder_text(l7s_builder_t *builder, const char *text);
/* A run of texts in the references; `wanted` (may be NULL) picks some of them. */
l7s_run_t l7s_builder_texts(l7s_builder_t *builder, const l7s_strings_t *strings,
                            bool (*wanted)(const char *text));
/* A new set without a bit. The first one made stays so: tables use it for "none". */
uint32_t l7s_builder_set(l7s_builder_t *builder);
void l7s_builder_set_bit(l7s_builder_t *builder, uint32_t set, uint32_t bit);

/* Writes the image. L7S_TOO_BIG: *size says what it needs. */
L7S_MUST_USE l7s_status_t l7s_builder_finish(l7s_builder_t *builder, void *memory,
                                             size_t capacity, size_t *size);

typedef struct {
    const char *text; /* borrowed from the configuration */
    uint32_t length;
    uint32_t value; /* of a set: the bit; of a name: the index */
    bool maybe;
} l7s_draft_entry_t;

typedef struct {
    l7s_vector_t entries;
    bool backward; /* hashed from the end: hosts */
} l7s_draft_t;

void l7s_draft_add(l7s_builder_t *builder, l7s_draft_t *draft, const char *text,
                   size_t length, uint32_t value, bool maybe);
/* Turn the draft into a table, of sets or of names, and free it. */
l7s_names_t l7s_draft_sets(l7s_builder_t *builder, l7s_draft_t *draft);
l7s_names_t l7s_draft_names(l7s_builder_t *builder, l7s_draft_t *draft);

#endif
