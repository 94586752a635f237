/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration to image. Runs in the sync process (and in the daemon, to check that a
 * configuration fits), never in httpd.
 */
#ifndef L7S_COMPILE_H
#define L7S_COMPILE_H

#include "../image/image.h"
#include "../json/config.h"
#include "../segment/stats.h"

/* Compiles `config` into `memory`, which begins at a multiple of 64. The counting key
 * goes into the image, so that keys and policies switch together; `stats` (may be NULL)
 * gives each policy its row. L7S_TOO_BIG: it does not fit, *size says what it needs (also
 * with capacity 0). L7S_INVALID: the regular expressions, parameters or cookies are too
 * many, or too complex together. Entries and policies that have expired at now_ms are
 * left out; *next_expiry_ms (0: none) says when to compile again. */
L7S_MUST_USE l7s_status_t l7s_image_compile(const l7s_config_t *config,
                                            const l7s_hashkey_t *count_key,
                                            uint64_t revision, uint64_t now_ms,
                                            const l7s_stats_t *stats, void *memory,
                                            size_t capacity, size_t *size,
                                            uint64_t *next_expiry_ms);

#endif
