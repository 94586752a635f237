/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean": the known word that is nearest to a mistyped one.
 */
#ifndef L7S_NEAREST_H
#define L7S_NEAREST_H

typedef struct {
    const char *word, *best; /* borrowed */
    unsigned distance;       /* of the best; only nearer ones are taken */
} l7s_nearest_t;

void l7s_nearest_begin(l7s_nearest_t *nearest, const char *word);
void l7s_nearest_offer(l7s_nearest_t *nearest, const char *candidate);

/* Insertions, deletions, substitutions and swaps of neighbours from `a` to `b` (optimal
 * string alignment, bytes, upper and lower case alike). Words longer than 64 bytes are
 * never near: 255. */
unsigned l7s_edit_distance(const char *a, const char *b);

#endif
