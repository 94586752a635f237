/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared segment as httpd sees it: created by the parent, inherited by every child,
 * kept over restarts; and each thread's pin on the image.
 */
#ifndef SHIELD_SHARED_MEMORY_H
#define SHIELD_SHARED_MEMORY_H

#include "mod_l7shield.h"

#include "image.h"

/* What outlives a restart of httpd, and with it the code of this module. */
typedef struct {
    int fd; /* -1: none yet */
    void *memory;
    size_t size;
    uint64_t generation; /* of the configuration, 1 for the first */
} shield_segment_t;

/* Parent, once per configuration: the segment of `size` bytes, the one in use if it still
 * fits, else a new one. Counts the generation up and attaches shield_process.shared. NULL
 * (logged): there is no memory for it. */
const shield_segment_t *shield_segment_open(server_rec *server, size_t size);

/* Each child, once: what pins need. */
void shield_segment_child(apr_pool_t *pool, server_rec *server);

/* The image in force, held for this thread until shield_image_release; NULL when there is
 * none, and then there is nothing to release. Not to be nested. */
const l7s_image_t *shield_image_hold(void);
void shield_image_release(void);

/* Both clocks, read once per request. */
l7s_now_t shield_now(void);

#endif
