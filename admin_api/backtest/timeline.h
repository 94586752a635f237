/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts over time in a fixed number of steps: a second each at first, twice as long
 * whenever the time does not fit any more.
 */
#ifndef ADMIN_TIMELINE_H
#define ADMIN_TIMELINE_H

#include <jansson.h>
#include <stdint.h>

#define ADMIN_TIMELINE_STEPS 256
#define ADMIN_TIMELINE_COUNTS 3 /* requests, acted, would_act */

/* Zeroed before its first use. */
typedef struct {
    uint64_t first_s; /* of the first step, a multiple of its length */
    uint64_t step_s;  /* 0: nothing yet */
    uint32_t steps;   /* in use */
    uint32_t counts[ADMIN_TIMELINE_STEPS][ADMIN_TIMELINE_COUNTS];
} admin_timeline_t;

/* The three counts of the step that this second is in. A second before the first one
 * counts in the first. */
uint32_t *admin_timeline_at(admin_timeline_t *timeline, uint64_t second);

/* {"step_seconds","items":[{"at","requests","acted","would_act"}]} New reference. */
json_t *admin_timeline_json(const admin_timeline_t *timeline);

#endif
