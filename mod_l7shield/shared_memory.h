/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared segment as httpd sees it: created by the parent, inherited by every child,
 * kept over restarts; and each thread's pin on the image.
 */
#ifndef SHIELD_SHARED_MEMORY_H
#define SHIELD_SHARED_MEMORY_H

#include "process.h"

#include "../core/image/image.h"

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

/* The image in force, held for this thread until l7s_segment_unpin(*pin); NULL when there
 * is none, and then there is nothing to unpin. Not to be nested. */
const l7s_image_t *shield_image_hold(l7s_pin_t **pin);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t shield_mono_us(void);

/* Both times, once per request: httpd knows the wall clock's already. */
l7s_now_t shield_now(apr_time_t wall);

#endif
