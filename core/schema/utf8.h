/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that an attacker may have written, made safe for JSON: valid UTF-8 and bounded.
 */
#ifndef L7S_UTF8_H
#define L7S_UTF8_H

#include <stddef.h>

/* Copies `text`; bytes that are not valid UTF-8 (RFC 3629) become "\xHH". What does not
 * fit is cut between characters. Returns the length written, without the NUL. */
size_t l7s_utf8_copy(char *out, size_t capacity, const char *text);

/* Bytes of the valid sequence that begins at `text`, 0 when there is none. */
size_t l7s_utf8_sequence(const char *text);

/* Characters of a text that is valid UTF-8. */
size_t l7s_utf8_characters(const char *text);

#endif
