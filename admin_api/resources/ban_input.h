/* SPDX-License-Identifier: Apache-2.0
 *
 * A ban as a client writes it: checked, named and with an end. Also whom nobody may ban:
 * the networks of allow lists.
 */
#ifndef ADMIN_BAN_INPUT_H
#define ADMIN_BAN_INPUT_H

#include "../fleet/ban_record.h"

#define ADMIN_BATCH_MAX 10000

typedef struct {
    l7s_ban_t ban;    /* without digest */
    json_t *document; /* what belongs to the client; owned */
} admin_ban_input_t;

/* Reads {"key","seconds" or "until","status","reason","labels"}; an "id" must be the
 * key's. False: `problems` has why, with pointers that begin with `pointer`. */
bool admin_ban_input_read(const json_t *document, const char *pointer, uint64_t now_ms,
                          l7s_problems_t *problems, admin_ban_input_t *out);
void admin_ban_input_clear(admin_ban_input_t *input);

/* The networks of all allow lists that hold everywhere. */
typedef struct admin_allowed admin_allowed_t;
/* NULL: the store cannot be read, or no memory. */
admin_allowed_t *admin_allowed_read(admin_store_t *store, uint64_t now_ms);
void admin_allowed_free(admin_allowed_t *allowed);
/* The name of the list that covers all of `network`; borrowed. NULL: none. */
const char *admin_allowed_by(const admin_allowed_t *allowed, const l7s_cidr_t *network);

#endif
