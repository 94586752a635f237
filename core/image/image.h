/* SPDX-License-Identifier: Apache-2.0
 *
 * The compiled policies: one immutable, position-independent block. The sync process
 * compiles it, workers evaluate it in place; nothing in it is a pointer.
 *
 * Matching is an index, not a loop over policies: each dimension (method, host, path, …)
 * yields a bit set of the policies that it admits, the sets are intersected, and only
 * what remains is looked at more closely (globs, long lists, exceptions). Policies stand
 * in order of priority, then name, so the lowest bit is the first to be asked.
 */
#ifndef L7S_IMAGE_H
#define L7S_IMAGE_H

#include "../count/bucket.h"
#include "../hash.h"
#include "../status.h"

typedef struct l7s_image l7s_image_t; /* layout in image_layout.h, core only */

#define L7S_POLICIES_MAX 1024
#define L7S_APPS_MAX 1024
#define L7S_WORDS_MAX ((L7S_POLICIES_MAX + L7S_APPS_MAX) / 64) /* of a set of both */

/* Checks magic, version and that every offset lies inside `size`. NULL: not an image. */
const l7s_image_t *l7s_image_check(const void *memory, size_t size);

const l7s_hashkey_t *l7s_image_count_key(const l7s_image_t *image);
uint64_t l7s_image_revision(const l7s_image_t *image);
uint32_t l7s_image_policies(const l7s_image_t *image);
/* Does anything ask where a client comes from (geo.h)? */
bool l7s_image_needs_origin(const l7s_image_t *image);
/* Is there a policy whose verdicts come from the store? */
bool l7s_image_has_strict(const l7s_image_t *image);

/* The limit with this short id (l7s_slot_t.limit); NULL when no policy has it any more.
 * `rate` and the rest are borrowed from the image. */
typedef struct {
    l7s_hash128_t identity;
    l7s_rate_t rate;
    uint32_t id;        /* low 32 bits of identity.lo, never 0 */
    uint8_t fleet;      /* scope fleet: its tokens travel */
    uint8_t by_client;  /* counts by ["client"]: lifting a client's ban forgives it */
    uint8_t by_network; /* counts by ["network"], with these widths */
    uint8_t ipv4_prefix, ipv6_prefix;
    uint8_t strict;    /* the store decides, request by request */
    uint8_t place, of; /* which of how many that are charged together */
    uint32_t policy;   /* whose limit it is */
    uint8_t deferred;  /* counts when a request has been answered: it may go into debt */
    uint8_t tally; /* its counter is a tally (tally.h), and `rate` what would be much */
    uint8_t reserved2[2];
} l7s_image_limit_t;
const l7s_image_limit_t *l7s_image_limit(const l7s_image_t *image, uint32_t id);
const l7s_image_limit_t *l7s_image_limits(const l7s_image_t *image, uint32_t *count);

/* The body of a refusal by name ("default" or NULL: the built-in one, returns false). */
bool l7s_image_response(const l7s_image_t *image, const char *name,
                        const char **content_type, const char **body);

#endif
