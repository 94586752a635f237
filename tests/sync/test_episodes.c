/* SPDX-License-Identifier: Apache-2.0
 *
 * What is reported of an episode, when, and that a flood of them becomes neither a flood
 * of reports nor one of lines.
 */
#include "../../core/json/incident.h"
#include "../../mod_l7shield/sync/episodes.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN
#define REPORTS 8192

/* ---- the spool ---- */

static struct {
    char id[L7S_INCIDENT_ID_MAX];
    bool ended;
    uint64_t requests;
} reports[REPORTS];
static size_t reported;

void sync_spool_add(sync_spool_t *spool, const json_t *report, l7s_now_t now)
{
    (void)spool;
    (void)now;
    assert_true(reported < REPORTS);
    assert_int_equal(l7s_incident_report_check(report), L7S_OK);
    snprintf(reports[reported].id, L7S_INCIDENT_ID_MAX, "%s",
             json_string_value(json_object_get(report, "id")));
    reports[reported].ended =
        strcmp(json_string_value(json_object_get(report, "state")), "ended") == 0;
    reports[reported].requests =
        (uint64_t)json_integer_value(json_object_get(report, "requests"));
    reported++;
}

/* ---- the bench ---- */

typedef struct {
    void *memory;
    l7s_shared_t shared;
    sync_episodes_t *episodes;
    l7s_now_t now;
    int lines, saved; /* standard error: a file, and what it was */
} bench_t;

static int set_up(void **state)
{
    static const uint8_t random[48] = {7};
    static char any; /* a spool that nobody looks into */
    bench_t *bench = calloc(1, sizeof *bench);

    bench->memory = aligned_alloc(4096, SEGMENT_SIZE);
    memset(bench->memory, 0, SEGMENT_SIZE);
    assert_int_equal(l7s_segment_format(bench->memory, SEGMENT_SIZE, random), L7S_OK);
    assert_int_equal(l7s_segment_attach(bench->memory, SEGMENT_SIZE, &bench->shared),
                     L7S_OK);
    bench->now = (l7s_now_t){.mono_us = 5000000, .wall_ms = 1700000000000};
    reported = 0;
    bench->lines = fileno(tmpfile());
    bench->saved = dup(STDERR_FILENO);
    (void)dup2(bench->lines, STDERR_FILENO);
    *state = bench;
    return sync_episodes_create(&bench->shared, "web-1", (sync_spool_t *)&any, 0,
                                &bench->episodes) != L7S_OK;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    (void)dup2(bench->saved, STDERR_FILENO);
    close(bench->saved);
    sync_episodes_free(bench->episodes);
    free(bench->memory);
    free(bench);
    return 0;
}

static l7s_hash128_t key_of(unsigned number)
{
    return (l7s_hash128_t){(number + 1) * UINT64_C(0x9e3779b97f4a7c15), number};
}

/* What a worker does at the first request that trips. */
static l7s_episode_t *open_one(bench_t *bench, unsigned number)
{
    l7s_episode_facts_t facts = {
        .mode = L7S_MODE_ENFORCE, .revision = 1, .started_ms = bench->now.wall_ms};

    snprintf(facts.policy, sizeof facts.policy, "policy-%u", number);
    snprintf(facts.action, sizeof facts.action, "deny");
    snprintf(facts.detector, sizeof facts.detector, "always");
    snprintf(facts.key, sizeof facts.key, "{\"client\":\"192.0.2.1\"}");
    l7s_episode_t *episode =
        l7s_episode_open(&bench->shared.episodes, key_of(number), &facts, bench->now);
    assert_non_null(episode);
    return episode;
}

static void count(bench_t *bench, l7s_episode_t *episode)
{
    l7s_episode_count(episode, true, true, (l7s_hash128_t){1, 2}, bench->now);
}

/* Ticks of 100 ms for so long; returns how many reports there were. */
static size_t run(bench_t *bench, unsigned ms)
{
    size_t before = reported;

    for (unsigned passed = 0; passed < ms; passed += 100) {
        sync_episodes_tick(bench->episodes, bench->now);
        bench->now.mono_us += 100000;
        bench->now.wall_ms += 100;
    }
    return reported - before;
}

/* How many lines with this tag were written. */
static unsigned lines_with(const bench_t *bench, const char *tag)
{
    static char text[1 << 20];
    ssize_t size = pread(bench->lines, text, sizeof text - 1, 0);
    unsigned lines = 0;

    text[size > 0 ? size : 0] = '\0';
    for (const char *at = text; (at = strstr(at, tag)) != NULL; at++) {
        lines++;
    }
    return lines;
}

/* ---- tests ---- */

static void test_episodes_are_reported_at_once_and_then_once_a_second(void **state)
{
    bench_t *bench = *state;
    l7s_episode_t *episode = open_one(bench, 1);

    count(bench, episode);
    assert_int_equal(run(bench, 100), 1);
    assert_string_equal(reports[0].id, episode->facts.id);
    size_t more = 0;
    for (unsigned i = 0; i < 30; i++) {
        count(bench, episode);
        more += run(bench, 100);
    }
    assert_in_range(more, 2, 3);
    assert_in_range(reports[reported - 1].requests, 20, 31);
    run(bench, 1000);
    assert_int_equal(run(bench, 10000), 0); /* nothing new */
}

static void test_episodes_wait_a_moment_for_their_first_request(void **state)
{
    bench_t *bench = *state;
    l7s_episode_t *episode = open_one(bench, 1);

    assert_int_equal(run(bench, 100), 0);
    count(bench, episode);
    assert_int_equal(run(bench, 100), 1);
    assert_int_equal(reports[0].requests, 1);
    (void)open_one(bench, 2); /* its worker was killed */
    assert_int_equal(run(bench, 200), 0);
    assert_int_equal(run(bench, 200), 1);
}

static void test_episodes_end_after_a_minute_of_quiet(void **state)
{
    bench_t *bench = *state;
    l7s_episode_t *episode = open_one(bench, 1);

    count(bench, episode);
    run(bench, 30000);
    count(bench, episode);
    run(bench, 59900);
    assert_false(reports[reported - 1].ended);
    run(bench, 200);
    assert_true(reports[reported - 1].ended);
    assert_int_equal(reports[reported - 1].requests, 2);
    assert_null(l7s_episode_find(&bench->shared.episodes, key_of(1)));
    assert_int_equal(run(bench, 70000), 0);
    assert_int_equal(lines_with(bench, "L7S2101"), 1);
    assert_int_equal(lines_with(bench, "L7S2102"), 1);
}

static void test_episodes_of_a_key_that_ended_begin_anew(void **state)
{
    bench_t *bench = *state;
    l7s_episode_t *episode = open_one(bench, 1);

    count(bench, episode);
    run(bench, 100);
    l7s_episode_close(&bench->shared.episodes, episode);
    run(bench, 100);
    l7s_episode_t *next = open_one(bench, 1);
    assert_ptr_equal(next, episode); /* the same place */
    count(bench, next);
    assert_int_equal(run(bench, 100), 1);
    assert_string_equal(reports[reported - 1].id, next->facts.id);
    assert_int_equal(lines_with(bench, "L7S2101"), 2);
}

static void test_episodes_of_a_flood_are_all_reported_with_few_lines(void **state)
{
    bench_t *bench = *state;

    for (unsigned i = 0; i < 500; i++) {
        count(bench, open_one(bench, i));
    }
    assert_int_equal(run(bench, 100), 500);
    run(bench, 59800); /* none has been quiet for a minute yet */
    assert_int_equal(reported, 500);
    assert_in_range(lines_with(bench, "L7S2101"), 1, 20);
    run(bench, 200);
    assert_in_range(reported, 501, 564); /* a few in each tick */
    run(bench, 3000);
    assert_int_equal(reported, 1000);
    assert_in_range(lines_with(bench, "L7S2102"), 20, 100);
    assert_true(lines_with(bench, "L7S2103") > 0); /* how many lines there are not */
}

static void test_episodes_of_a_predecessor_are_reported_without_a_line(void **state)
{
    bench_t *bench = *state;
    static char any;
    l7s_episode_t *episode = open_one(bench, 1);

    count(bench, episode);
    sync_episodes_free(bench->episodes);
    assert_int_equal(sync_episodes_create(&bench->shared, "web-1", (sync_spool_t *)&any,
                                          bench->now.wall_ms, &bench->episodes),
                     L7S_OK);
    assert_int_equal(run(bench, 100), 1);
    assert_int_equal(lines_with(bench, "L7S2101"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_episodes_are_reported_at_once_and_then_once_a_second),
        TEST(test_episodes_wait_a_moment_for_their_first_request),
        TEST(test_episodes_end_after_a_minute_of_quiet),
        TEST(test_episodes_of_a_key_that_ended_begin_anew),
        TEST(test_episodes_of_a_flood_are_all_reported_with_few_lines),
        TEST(test_episodes_of_a_predecessor_are_reported_without_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
