/* SPDX-License-Identifier: Apache-2.0
 *
 * Which regular expressions are accepted, and their compilation: what is accepted is what
 * compiles, in bounded time.
 */
#ifndef L7S_PATTERN_CHECK_H
#define L7S_PATTERN_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct hs_database;

/* What is wrong with this pattern, as a sentence. False: nothing is. */
bool l7s_pattern_error(const char *pattern, char *out, size_t capacity);

/* Compiles `count` patterns, each with its number, into one database, which is the
 * caller's (hs_free_database). False: one is refused, which `error` (NULL: nobody reads
 * it) says, or there is no memory. */
bool l7s_pattern_compile(const char *const *texts, const unsigned *ids, unsigned count,
                         struct hs_database **out, char *error, size_t capacity);

#endif
