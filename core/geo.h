/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an address comes from: its country and its autonomous system (ASN), by the
 * operator's databases in MaxMind's format (MMDB). The files are mapped into memory, not
 * read: whoever replaces one puts a new file in its place instead of writing into it.
 */
#ifndef L7S_GEO_H
#define L7S_GEO_H

#include "addr.h"
#include "status.h"

#define L7S_GEO_FILES_MAX 4

typedef struct {
    uint32_t asn;    /* 0: not known */
    char country[3]; /* two capitals (ISO 3166-1); "": not known */
} l7s_geo_place_t;

typedef struct l7s_geo l7s_geo_t;

/* NULL: no memory. */
l7s_geo_t *l7s_geo_create(void);
void l7s_geo_free(l7s_geo_t *geo);

/* Maps one more file. On failure `why` is a sentence's end: "is not …". */
L7S_MUST_USE l7s_status_t l7s_geo_add(l7s_geo_t *geo, const char *path, char *why,
                                      size_t capacity);
uint32_t l7s_geo_files(const l7s_geo_t *geo);

/* Asks the files in their order; the first that knows something is believed. No lock, no
 * allocation. */
void l7s_geo_find(const l7s_geo_t *geo, const l7s_addr_t *addr, l7s_geo_place_t *out);

/* Countries as numbers, in which sets of them are kept; 0: not two capitals. */
static inline uint32_t l7s_country_code(const char *text)
{
    return text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z' &&
                   text[2] == '\0'
               ? (uint32_t)text[0] << 8 | (uint32_t)text[1]
               : 0;
}

#endif
