/* SPDX-License-Identifier: Apache-2.0
 *
 * See timeline.h.
 */
#include "timeline.h"

#include "../../core/clock.h"

#include <string.h>

/* Steps begin at multiples of their length, so the first one may begin earlier than
 * before, and then the others move by one place. */
static void double_steps(admin_timeline_t *timeline)
{
    uint32_t counts[ADMIN_TIMELINE_STEPS][ADMIN_TIMELINE_COUNTS] = {{0}};
    uint64_t step_s = timeline->step_s * 2;
    uint64_t first_s = timeline->first_s / step_s * step_s;
    uint32_t shift = timeline->first_s != first_s, steps = 0;

    for (uint32_t i = 0; i < timeline->steps; i++) {
        uint32_t to = (i + shift) / 2;
        steps = to + 1;
        for (unsigned k = 0; k < ADMIN_TIMELINE_COUNTS; k++) {
            counts[to][k] += timeline->counts[i][k];
        }
    }
    memcpy(timeline->counts, counts, sizeof counts);
    timeline->first_s = first_s;
    timeline->step_s = step_s;
    timeline->steps = steps;
}

uint32_t *admin_timeline_at(admin_timeline_t *timeline, uint64_t second)
{
    if (timeline->step_s == 0) {
        timeline->step_s = 1;
        timeline->first_s = second;
        timeline->steps = 1;
    }
    second = second > timeline->first_s ? second : timeline->first_s;
    while ((second - timeline->first_s) / timeline->step_s >= ADMIN_TIMELINE_STEPS) {
        double_steps(timeline);
    }
    uint32_t step = (uint32_t)((second - timeline->first_s) / timeline->step_s);
    timeline->steps = step + 1 > timeline->steps ? step + 1 : timeline->steps;
    return timeline->counts[step];
}

json_t *admin_timeline_json(const admin_timeline_t *timeline)
{
    json_t *items = json_array();

    for (uint32_t i = 0; i < timeline->steps; i++) {
        const uint32_t *counts = timeline->counts[i];
        char at[L7S_TIME_TEXT];
        l7s_time_text((timeline->first_s + i * timeline->step_s) * 1000, at);
        json_array_append_new(items, json_pack("{s:s, s:I, s:I, s:I}", "at", at,
                                               "requests", (json_int_t)counts[0], "acted",
                                               (json_int_t)counts[1], "would_act",
                                               (json_int_t)counts[2]));
    }
    return json_pack("{s:I, s:o}", "step_seconds", (json_int_t)timeline->step_s, "items",
                     items);
}
