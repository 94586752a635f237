/* SPDX-License-Identifier: Apache-2.0
 *
 * Small text files that hold keys: reading one whole, refusing one that is open to the
 * wrong people, creating one that must not exist yet. Their lines are trust.c's business.
 * Every refusal is a sentence that names the file and, where there is one, the cure.
 */
#ifndef L7S_BUS_KEY_FILE_H
#define L7S_BUS_KEY_FILE_H

#include "../status.h"
#include <stdint.h>

#define L7S_KEY_SIZE 32
#define L7S_KEY_FILE_MAX 8192

/* A file that only its owner may touch (0600), or one that all may read (0644). */
typedef enum { L7S_KEY_SECRET, L7S_KEY_PUBLIC } l7s_key_file_t;

/* Reads `path` into `text`, NUL-terminated. `what` names it in `why` ("secret file").
 * L7S_IO: cannot be read; L7S_UNTRUSTED: others may read it (or, if public, change it);
 * L7S_INVALID: no text of at most L7S_KEY_FILE_MAX bytes. */
L7S_MUST_USE l7s_status_t l7s_key_file_read(const char *what, const char *path,
                                            l7s_key_file_t kind,
                                            char text[L7S_KEY_FILE_MAX + 1],
                                            char why[256]);

/* Creates `path` with the line PREFIX and the key in base64. L7S_CONFLICT: it exists. */
L7S_MUST_USE l7s_status_t l7s_key_file_write(const char *path, l7s_key_file_t kind,
                                             const char *prefix,
                                             const uint8_t key[L7S_KEY_SIZE],
                                             char why[256]);

/* False when `base64` is not exactly one key. */
bool l7s_key_decode(const char *base64, uint8_t out[L7S_KEY_SIZE]);

/* Writes the sentence to `why` (may be NULL) and returns `status`. */
l7s_status_t l7s_key_explain(char why[256], l7s_status_t status, const char *format, ...)
    L7S_PRINTF(3, 4);

#endif
