/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions on the request path, by Hyperscan: many at once, in time linear to
 * the text, whatever expression and text are. Here they are evaluated only; what compiles
 * them (compile_pattern.h) is never loaded into httpd.
 *
 * An image holds a database for each thing that is looked at (the path, one header, …).
 * A scan needs working memory, one for each thread: it is allocated at a thread's first
 * scan and grown at its first scan with other databases, never otherwise.
 */
#ifndef L7S_PATTERN_H
#define L7S_PATTERN_H

#include "../status.h"
#include <stdint.h>

#define L7S_PATTERNS_MAX 1024     /* in one image */
#define L7S_SUBJECTS_MAX 64       /* things that patterns look at */
#define L7S_SCAN_MAX 16384        /* bytes of a text; what is behind is not looked at */
#define L7S_SCRATCH_MAX (1 << 20) /* bytes of working memory for each thread */
#define L7S_DATABASE_ALIGNMENT 64

/* The working memory of one thread. */
typedef struct l7s_scratch l7s_scratch_t;

/* NULL: no memory. */
l7s_scratch_t *l7s_scratch_create(void);
void l7s_scratch_free(l7s_scratch_t *scratch);

/* Is it large enough for the databases that `stamp` names? */
bool l7s_scratch_fits(const l7s_scratch_t *scratch, uint64_t stamp);
/* Makes it so for one of them; l7s_scratch_fitted when it has been done for all. */
L7S_MUST_USE l7s_status_t l7s_scratch_grow(l7s_scratch_t *scratch, const void *database);
void l7s_scratch_fitted(l7s_scratch_t *scratch, uint64_t stamp);
size_t l7s_scratch_size(const l7s_scratch_t *scratch);

/* Is this a database of `size` bytes for the library that is loaded? It looks at the
 * head only: that the rest is as it was compiled, the image's stamp must tell. */
bool l7s_pattern_check(const void *database, size_t size);

/* Sets the bit of each pattern that is found in the text. Bits from `patterns` on are
 * left alone. False: the scan failed, and nothing can be said. */
bool l7s_pattern_scan(l7s_scratch_t *scratch, const void *database, const char *text,
                      size_t length, uint64_t *hits, uint32_t patterns);

#endif
