/* SPDX-License-Identifier: Apache-2.0
 *
 * Edit distance, bounded: three rows on the stack.
 */
#include "nearest.h"
#include <ctype.h>
#include <string.h>

enum { WORD_MAX = 64, FAR = 255 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned l7s_edit_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t length_a = strlen(a), length_b = strlen(b);

    if (length_a > WORD_MAX || length_b > WORD_MAX) {
        return FAR;
    }
    for (unsigned j = 0; j <= length_b; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= length_a; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];
        const unsigned *twice = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= length_b; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1);
            row[j] = least(row[j], above[j - 1] + !same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], twice[j - 2] + 1);
            }
        }
    }
    return rows[length_a % 3][length_b];
}

void l7s_nearest_begin(l7s_nearest_t *nearest, const char *word)
{
    unsigned allowed = (unsigned)(strlen(word) / 3) + 1;

    nearest->word = word;
    nearest->best = NULL;
    nearest->distance = least(allowed, 3) + 1;
}

void l7s_nearest_offer(l7s_nearest_t *nearest, const char *candidate)
{
    unsigned distance = l7s_edit_distance(nearest->word, candidate);

    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = candidate;
    }
}
