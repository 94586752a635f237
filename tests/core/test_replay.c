/* SPDX-License-Identifier: Apache-2.0
 *
 * A node under a clock that the test holds: what takes a real one minutes (bans that end,
 * episodes that begin anew, entries that expire) and what its stages would have said.
 */
#include "../../core/compile/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_MS 1700000000000ULL
#define CLIENT "203.0.113.7"

typedef struct {
    l7s_config_t *config;
    l7s_replay_t *replay;
    l7s_scratch_t *scratch;
    uint64_t now_ms;
} node_t;

static l7s_now_t at(uint64_t ms)
{
    return (l7s_now_t){ms * 1000, ms};
}

static const char *no_header(void *context, const char *name)
{
    (void)context;
    (void)name;
    return NULL;
}

static node_t begin(const char *text)
{
    node_t node = {.now_ms = START_MS};
    l7s_replay_setup_t setup = {.count_key = {1, 2},
                                .memory = L7S_SEGMENT_SIZE_MIN,
                                .mode = L7S_MODE_ENFORCE,
                                .now = at(START_MS)};
    l7s_problems_t problems = {.count = 0};
    json_t *document = json_loads(text, 0, NULL);

    assert_non_null(document);
    if (l7s_config_parse(document, &problems, &node.config) != L7S_OK) {
        fail_msg("%s %s", problems.items[0].pointer, problems.items[0].message);
    }
    json_decref(document);
    memset(setup.random, 7, sizeof setup.random);
    assert_int_equal(l7s_replay_create(node.config, &setup, &node.replay), L7S_OK);
    return node;
}

static void end(node_t *node)
{
    l7s_replay_free(node->replay);
    l7s_config_free(node->config);
}

static void pass_ms(node_t *node, uint64_t ms)
{
    node->now_ms += ms;
    assert_int_equal(l7s_replay_move(node->replay, at(node->now_ms)), L7S_OK);
}

typedef struct {
    const char *client, *path, *user;
    uint16_t status; /* of the answer; 0: not known */
    bool late;
} visit_t;

static l7s_verdict_t visit_as(node_t *node, visit_t visit)
{
    l7s_request_t request = {.method = "GET",
                             .host = "www.example.com",
                             .path = visit.path != NULL ? visit.path : "/",
                             .target = visit.path != NULL ? visit.path : "/",
                             .user = visit.user,
                             .mode = L7S_MODE_ENFORCE,
                             .owner = 1,
                             .header = no_header};
    l7s_answer_t answer = {.status = visit.status, .was_decided = !visit.late};
    l7s_verdict_t verdict;

    assert_true(
        l7s_addr_parse(visit.client != NULL ? visit.client : CLIENT, &request.client));
    if (visit.late) {
        l7s_replay_answer(node->replay, &request, &answer, &verdict);
    } else {
        l7s_replay_request(node->replay, &request, visit.status != 0 ? &answer : NULL,
                           &verdict);
    }
    return verdict;
}

static l7s_outcome_t visit(node_t *node)
{
    return visit_as(node, (visit_t){.status = 200}).outcome;
}

#define RATE(requests, seconds)                                                          \
    "\"detect\":{\"rate\":{\"requests\":" #requests ",\"per_seconds\":" #seconds "}}"

static void test_replay_rate_follows_the_clock(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\"," RATE(
        2, 60) ",\"action\":{\"throttle\":{}}}]}");

    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_THROTTLED);
    pass_ms(&node, 29999);
    assert_int_equal(visit(&node), L7S_OUTCOME_THROTTLED);
    pass_ms(&node, 1);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_THROTTLED);
    end(&node);
}

static void test_replay_move_earlier_time_leaves_the_clock(void **state)
{
    (void)state;
    node_t node = begin("{}");

    pass_ms(&node, 5000);
    assert_int_equal(l7s_replay_move(node.replay, at(START_MS)), L7S_OK);
    assert_int_equal(l7s_replay_now(node.replay).wall_ms, START_MS + 5000);
    end(&node);
}

static void test_replay_ban_ends(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\"," RATE(
        1, 1) ",\"action\":{\"ban\":{\"seconds\":600}}}]}");

    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_BANNED);
    pass_ms(&node, 599999);
    assert_int_equal(visit(&node), L7S_OUTCOME_BANNED);
    pass_ms(&node, 1);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    end(&node);
}

/* Ten times as many bans as the table holds, one after the other: each of them
 * finds the place of one that has ended. */
static void test_replay_expired_bans_make_room(void **state)
{
    (void)state;
    node_t node = begin(
        "{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"detect\":{\"always\":"
        "{}},\"action\":{\"ban\":{\"seconds\":10}}}]}");
    char client[32];

    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(client, sizeof client, "10.%u.%u.7", i / 256, i % 256);
        assert_int_equal(visit_as(&node, (visit_t){.client = client}).outcome,
                         L7S_OUTCOME_BANNED);
        pass_ms(&node, 100);
    }
    const l7s_shared_t *shared = l7s_replay_shared(node.replay);
    assert_int_equal(atomic_load(&shared->bans.head->dropped), 0);
    end(&node);
}

/* From the second episode on the key is banned; it begins when the first has been quiet
 * for a minute. */
static void test_replay_episodes_end_by_the_clock(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\"," RATE(
        1, 1) ",\"action\":{\"throttle\":{}},\"escalate\":[{\"after\":2,"
              "\"within_seconds\":3600,\"action\":{\"ban\":{\"seconds\":60}}}]}]}");

    for (int i = 0; i < 3; i++) {
        assert_int_equal(visit(&node),
                         i == 0 ? L7S_OUTCOME_ADMITTED : L7S_OUTCOME_THROTTLED);
    }
    pass_ms(&node, 30000);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_THROTTLED); /* the same episode */
    pass_ms(&node, L7S_EPISODE_QUIET_MS);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_BANNED);
    end(&node);
}

static void test_replay_entries_and_policies_expire(void **state)
{
    (void)state;
    node_t node = begin(
        "{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"detect\":{\"always\":{}},"
        "\"action\":{\"deny\":{}},\"expires_at\":\"2023-11-14T22:13:40Z\"}],"
        "\"lists\":[{\"name\":\"l\",\"kind\":\"addresses\",\"effect\":\"allow\","
        "\"entries\":[{\"value\":\"" CLIENT
        "\",\"expires_at\":\"2023-11-14T22:13:30Z\"}]}]}");

    assert_int_equal(visit(&node), L7S_OUTCOME_ALLOW_LISTED);
    pass_ms(&node, 10000); /* 22:13:30 */
    assert_int_equal(visit(&node), L7S_OUTCOME_DENIED);
    pass_ms(&node, 10000);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    end(&node);
}

static void test_replay_answers_are_counted(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"count\":{"
                        "\"statuses\":[\"401\"]}," RATE(1, 60) ",\"action\":{\"deny\":{}}"
                                                               "}]}");
    visit_t failed = {.status = 401}, unknown = {.status = 0};

    assert_int_equal(visit_as(&node, unknown).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit_as(&node, failed).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit_as(&node, failed).outcome, L7S_OUTCOME_LOGGED);
    assert_int_equal(visit_as(&node, failed).outcome, L7S_OUTCOME_DENIED);
    assert_int_equal(visit(&node), L7S_OUTCOME_DENIED);
    end(&node);
}

/* What no stage was asked about is not refused, but counted: the next one is. */
static void test_replay_late_request_is_counted_and_not_refused(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\"," RATE(
        1, 60) ",\"action\":{\"ban\":{\"seconds\":60}}}]}");
    visit_t late = {.status = 400, .late = true};

    assert_int_equal(visit_as(&node, late).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit_as(&node, late).outcome, L7S_OUTCOME_LOGGED);
    assert_int_equal(visit(&node), L7S_OUTCOME_BANNED);
    end(&node);
}

static void test_replay_users_are_counted_when_they_are_known(void **state)
{
    (void)state;
    node_t node = begin(
        "{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"count\":{\"by\":[\"user\"],"
        "\"when_absent\":\"skip\"}," RATE(1, 60) ",\"action\":{\"throttle\":{}}}]}");
    visit_t anne = {.user = "anne", .status = 200}, bob = {.user = "bob", .status = 200};

    assert_int_equal(visit_as(&node, anne).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit_as(&node, anne).outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(visit_as(&node, bob).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED); /* nobody */
    assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    end(&node);
}

/* A request is over when it has been replayed. */
static void test_replay_nothing_stays_in_flight(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"detect\":{"
                        "\"concurrency\":{\"max\":1}},\"action\":{\"throttle\":{}}}]}");

    for (int i = 0; i < 5; i++) {
        assert_int_equal(visit(&node), L7S_OUTCOME_ADMITTED);
    }
    end(&node);
}

static void test_replay_statistics_stand_under_the_policies_names(void **state)
{
    (void)state;
    node_t node = begin("{\"policies\":[{\"name\":\"watch\"," RATE(
        1, 60) ",\"action\":{\"throttle\":{}}},"
               "{\"name\":\"stop\",\"mode\":\"enforce\"," RATE(
                   2, 60) ",\"action\":{\"throttle\":{}}}]}");
    const l7s_shared_t *shared = l7s_replay_shared(node.replay);

    for (int i = 0; i < 4; i++) {
        (void)visit(&node);
    }
    l7s_stats_row_t *watch = &shared->stats.rows[l7s_stats_row(&shared->stats, "watch")];
    l7s_stats_row_t *stop = &shared->stats.rows[l7s_stats_row(&shared->stats, "stop")];
    assert_int_equal(atomic_load(&stop->matched), 4);
    assert_int_equal(atomic_load(&stop->acted), 2);
    assert_int_equal(atomic_load(&watch->would_act), 1);
    end(&node);
}

/* What each limit was asked for, "row.place*tokens " after the other. */
static void note_demand(void *context, const l7s_demanded_t *demanded)
{
    char *out = context;

    sprintf(out + strlen(out), "%u.%u*%u ", demanded->row, demanded->place,
            demanded->tokens);
}

static const char *demand_of(node_t *node, const char *client, uint16_t status)
{
    static char out[256];
    l7s_request_t request = {.method = "GET",
                             .host = "",
                             .path = "/",
                             .target = "/",
                             .mode = L7S_MODE_ENFORCE,
                             .header = no_header};
    l7s_answer_t answer = {.status = status, .was_decided = true};
    l7s_verdict_t verdict;

    out[0] = '\0';
    assert_true(l7s_addr_parse(client, &request.client));
    l7s_replay_request(node->replay, &request, &answer, &verdict);
    l7s_replay_demand(node->replay, &answer, &verdict, note_demand, out);
    return out;
}

/* Who is refused, or even banned, asks for as much as anybody; an allow list exempts, and
 * an allow policy does from what is behind it. */
static void test_replay_demand_is_what_was_asked_for(void **state)
{
    (void)state;
    node_t node = begin(
        "{\"policies\":["
        "{\"name\":\"a\",\"priority\":1,\"mode\":\"enforce\",\"detect\":{\"rate\":[{"
        "\"requests\":1,\"per_seconds\":1},{\"requests\":9,\"per_seconds\":60}]},"
        "\"action\":{\"ban\":{\"seconds\":60}}},"
        "{\"name\":\"b\",\"priority\":2,\"mode\":\"enforce\",\"match\":{\"client\":{"
        "\"in\":[\"192.0.2.0/24\"]}},\"detect\":{\"always\":{}},\"action\":{\"allow\":{}}},"
        "{\"name\":\"c\",\"priority\":3,\"count\":{\"statuses\":[\"404\"]}," RATE(
            5, 60) ",\"action\":{\"throttle\":{}}}],"
                   "\"lists\":[{\"name\":\"l\",\"effect\":\"allow\",\"entries\":[{"
                   "\"value\":\"198.51.100.1\"}]}]}");

    assert_string_equal(demand_of(&node, CLIENT, 200), "0.0*1 0.1*1 ");
    assert_string_equal(demand_of(&node, CLIENT, 404), "0.0*1 0.1*1 2.0*1 ");
    assert_string_equal(demand_of(&node, CLIENT, 404), "0.0*1 0.1*1 2.0*1 "); /* banned */
    assert_string_equal(demand_of(&node, "192.0.2.1", 404), "0.0*1 0.1*1 ");
    assert_string_equal(demand_of(&node, "198.51.100.1", 404), "");
    end(&node);
}

static void test_replay_off_node_says_nothing(void **state)
{
    (void)state;
    l7s_problems_t problems = {.count = 0};
    l7s_replay_setup_t setup = {
        .memory = L7S_SEGMENT_SIZE_MIN, .mode = L7S_MODE_OFF, .now = at(START_MS)};
    json_t *document =
        json_loads("{\"policies\":[{\"name\":\"p\",\"mode\":\"enforce\",\"match\":{"
                   "\"paths\":[\"/x\"]},\"detect\":{\"always\":{}},\"action\":{\"deny\":"
                   "{}}}]}",
                   0, NULL);
    node_t node = {.now_ms = START_MS};

    assert_int_equal(l7s_config_parse(document, &problems, &node.config), L7S_OK);
    json_decref(document);
    assert_int_equal(l7s_replay_create(node.config, &setup, &node.replay), L7S_OK);
    assert_int_equal(visit_as(&node, (visit_t){.path = "/x"}).outcome,
                     L7S_OUTCOME_ADMITTED);
    end(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay_rate_follows_the_clock),
        cmocka_unit_test(test_replay_move_earlier_time_leaves_the_clock),
        cmocka_unit_test(test_replay_ban_ends),
        cmocka_unit_test(test_replay_expired_bans_make_room),
        cmocka_unit_test(test_replay_episodes_end_by_the_clock),
        cmocka_unit_test(test_replay_entries_and_policies_expire),
        cmocka_unit_test(test_replay_answers_are_counted),
        cmocka_unit_test(test_replay_late_request_is_counted_and_not_refused),
        cmocka_unit_test(test_replay_users_are_counted_when_they_are_known),
        cmocka_unit_test(test_replay_nothing_stays_in_flight),
        cmocka_unit_test(test_replay_statistics_stand_under_the_policies_names),
        cmocka_unit_test(test_replay_demand_is_what_was_asked_for),
        cmocka_unit_test(test_replay_off_node_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
