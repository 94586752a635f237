/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a bearer token: "shld_<8 id>_<43 base62 of 256 bits><6 base62 CRC32>". The
 * prefix is for secret scanners, "_" so that a double click selects all of it, the
 * checksum so that a typo is refused without a look into the store. The id is public.
 */
#ifndef ADMIN_TOKEN_TEXT_H
#define ADMIN_TOKEN_TEXT_H

#include "../../core/status.h"
#include <stdint.h>

#define ADMIN_TOKEN_TEXT (5 + 8 + 1 + 43 + 6 + 1)
#define ADMIN_TOKEN_ID 9

/* A new random one, and its hash. */
L7S_MUST_USE l7s_status_t admin_token_mint(char text[ADMIN_TOKEN_TEXT],
                                           char id[ADMIN_TOKEN_ID], uint8_t hash[32]);
/* Has it the right form and checksum? Then its id and hash. */
bool admin_token_read(const char *text, char id[ADMIN_TOKEN_ID], uint8_t hash[32]);

#endif
