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
    admin_call_t *call;
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
/* Adds an item (steals it) under its key. False: the page is full and the item was not
 * taken (but freed); stop. */
bool admin_page_add(admin_page_t *page, const char *key, json_t *item);
/* The same where keys are numbers from 1. */
bool admin_page_add_number(admin_page_t *page, int64_t key, json_t *item);
/* Their key of the last item seen, 0 = from the start. False: the cursor is of another
 * list, and the call is answered. */
bool admin_page_after_number(admin_page_t *page, int64_t *out);

/* Each of these ends the page and frees it: answers the call (with what `status` means
 * unless it is L7S_OK), says that the cursor is of another list, or says nothing. */
void admin_page_reply(admin_page_t *page, l7s_status_t status);
void admin_page_refuse(admin_page_t *page);
void admin_page_clear(admin_page_t *page);

/* Does "labels" of `spec` satisfy every ?label=name=value (or ?label=name) of the call?
 * Values of one name are ORed. */
bool admin_page_labels(const admin_call_t *call, const json_t *spec);

#endif
