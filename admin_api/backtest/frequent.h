/* SPDX-License-Identifier: Apache-2.0
 *
 * What came most often, in bounded memory: counters of Misra and Gries ("Finding repeated
 * elements", 1982), thinned out by their median when they run out (Anderson and others,
 * "A High-Performance Algorithm for Identifying Frequent Items in Data Streams", 2017).
 * Whatever came more often than a 512th of all is there, and no count is too low by more
 * than that.
 */
#ifndef ADMIN_FREQUENT_H
#define ADMIN_FREQUENT_H

#include <jansson.h>
#include <stdint.h>

#define ADMIN_FREQUENT 1024
#define ADMIN_FREQUENT_TEXT 256 /* longer ones are cut */

typedef struct admin_frequent admin_frequent_t;

admin_frequent_t *admin_frequent_create(void); /* NULL: no memory */
void admin_frequent_free(admin_frequent_t *frequent);

/* Counts what has this hash, which nobody outside can choose. The text is asked for once
 * only, when the hash is new here. */
typedef void (*admin_frequent_text_fn)(const void *context,
                                       char out[ADMIN_FREQUENT_TEXT]);
void admin_frequent_add(admin_frequent_t *frequent, uint64_t hash,
                        admin_frequent_text_fn text, const void *context);

/* [{"value","count"}], the most frequent first, at most `limit`. New reference. */
json_t *admin_frequent_json(const admin_frequent_t *frequent, size_t limit);
/* By which counts may be too low. */
uint64_t admin_frequent_error(const admin_frequent_t *frequent);

#endif
