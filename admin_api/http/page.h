/* SPDX-License-Identifier: Apache-2.0
 *
 * Collections: limit, keyset cursor, labels and the answer {"items":[…],"next_cursor":…},
 * or NDJSON with everything that matches, of which a page is what is sent at once: the
 * handler runs again for the next one when the client has read it. A cursor is opaque to
 * clients and holds the key of the last item, never an offset, so that nothing is skipped
 * or shown twice.
 */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include "call.h"
#include <stdio.h>

typedef struct {
    size_t limit; /* SIZE_MAX for NDJSON, whose pages are bounded by bytes */
    bool ndjson;
    char *lines; /* of NDJSON: what has been added; owned until admin_page_reply */
    size_t lines_size;
    FILE *out;
    char after[ADMIN_CURSOR_KEY_MAX]; /* key of the last item seen; "" = from the start */
    json_t *items;                    /* owned until admin_page_reply */
    char last[ADMIN_CURSOR_KEY_MAX];
    bool more;
} admin_page_t;

/* Does the caller ask for NDJSON, rather than JSON? */
bool admin_page_wants_lines(const admin_call_t *call);

/* Reads limit (1…1000, default 100), cursor and Accept. False: the call got its problem.
 */
bool admin_page_begin(admin_call_t *call, admin_page_t *page);
/* Is NDJSON asked for? */
bool admin_page_wants_lines(const admin_call_t *call);
/* Adds an item (steals it) under its key. False: the page is full and the item was not
 * taken (but freed); stop. */
bool admin_page_add(admin_page_t *page, const char *key, json_t *item);
/* Answers the call and frees the page. */
void admin_page_reply(admin_call_t *call, admin_page_t *page);
void admin_page_clear(admin_page_t *page);

/* Does "labels" of `spec` satisfy every ?label=name=value (or ?label=name) of the call?
 * Values of one name are ORed. */
bool admin_page_labels(const admin_call_t *call, const json_t *spec);

/* Reads a number from 0 to `max` (at most four digits). False: the call got its problem.
 */
bool admin_page_number(admin_call_t *call, const char *parameter, unsigned max,
                       unsigned otherwise, unsigned *out);

/* Reads ?since= or ?until=: RFC 3339, or "-15m" (s, m, h, d) before now. 0 when absent.
 * False: the call got its problem. */
bool admin_page_time(admin_call_t *call, const char *parameter, uint64_t *out_ms);

#endif
