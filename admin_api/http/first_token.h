/* SPDX-License-Identifier: Apache-2.0
 *
 * How anybody gets in at first: a new store's admin token, in a file for its owner.
 */
#ifndef ADMIN_FIRST_TOKEN_H
#define ADMIN_FIRST_TOKEN_H

#include "../store/store.h"

/* In a store without tokens: makes the first admin token and writes it, 0600, to
 * `token_file` (replacing an old one). `why` gets the sentence for the log. */
L7S_MUST_USE l7s_status_t admin_first_token(admin_store_t *store, const char *token_file,
                                            uint64_t now_ms, char why[256]);

#endif
