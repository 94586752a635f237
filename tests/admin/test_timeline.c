/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts over time: nothing is lost when steps get longer.
 */
#include "../../admin_api/backtest/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define START 1700000001ULL

static uint64_t sum(const admin_timeline_t *timeline, unsigned count)
{
    uint64_t out = 0;

    for (uint32_t i = 0; i < timeline->steps; i++) {
        out += timeline->counts[i][count];
    }
    return out;
}

static void test_timeline_steps_are_seconds_at_first(void **state)
{
    (void)state;
    static admin_timeline_t timeline;

    timeline = (admin_timeline_t){0};
    for (uint64_t i = 0; i < ADMIN_TIMELINE_STEPS; i++) {
        admin_timeline_at(&timeline, START + i)[0] += (uint32_t)i;
    }
    assert_int_equal(timeline.step_s, 1);
    assert_int_equal(timeline.counts[200][0], 200);
}

/* A day, second by second: each count is in the step that holds its second. */
static void test_timeline_longer_times_take_longer_steps(void **state)
{
    (void)state;
    static admin_timeline_t timeline;

    timeline = (admin_timeline_t){0};
    for (uint64_t i = 0; i < 86400; i++) {
        uint32_t *counts = admin_timeline_at(&timeline, START + i);
        counts[0]++;
        counts[1] += i % 2 == 0;
    }
    assert_int_equal(timeline.step_s, 512);
    assert_int_equal(timeline.first_s % timeline.step_s, 0);
    assert_true(timeline.steps <= ADMIN_TIMELINE_STEPS);
    assert_int_equal(sum(&timeline, 0), 86400);
    assert_int_equal(sum(&timeline, 1), 43200);
    assert_int_equal(timeline.counts[1][0], 512);
    assert_int_equal(timeline.counts[0][0], timeline.first_s + 512 - START);
}

static void test_timeline_a_jump_ahead_is_one_call(void **state)
{
    (void)state;
    static admin_timeline_t timeline;

    timeline = (admin_timeline_t){0};
    admin_timeline_at(&timeline, 1)[0]++;
    admin_timeline_at(&timeline, 253402300799ULL)[0]++;
    assert_true(timeline.steps <= ADMIN_TIMELINE_STEPS);
    assert_int_equal(sum(&timeline, 0), 2);
}

static void test_timeline_earlier_seconds_count_in_the_first_step(void **state)
{
    (void)state;
    static admin_timeline_t timeline;

    timeline = (admin_timeline_t){0};
    admin_timeline_at(&timeline, START)[0]++;
    admin_timeline_at(&timeline, START - 100)[0]++;
    assert_int_equal(timeline.counts[0][0], 2);
}

static void test_timeline_json_names_the_steps(void **state)
{
    (void)state;
    static admin_timeline_t timeline;

    timeline = (admin_timeline_t){0};
    admin_timeline_at(&timeline, START)[2]++;
    json_t *json = admin_timeline_json(&timeline);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"step_seconds\":1,\"items\":[{\"at\":\"2023-11-14T22:13:21."
                        "000Z\",\"requests\":0,\"acted\":0,\"would_act\":1}]}");
    free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeline_steps_are_seconds_at_first),
        cmocka_unit_test(test_timeline_longer_times_take_longer_steps),
        cmocka_unit_test(test_timeline_a_jump_ahead_is_one_call),
        cmocka_unit_test(test_timeline_earlier_seconds_count_in_the_first_step),
        cmocka_unit_test(test_timeline_json_names_the_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
