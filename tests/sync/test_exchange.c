/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose turn it is when a tick has no room, or memcached no time, for all.
 */
#include "../../mod_l7shield/sync/exchange.h"
#include "counters_fixture.h"
#include <string.h>

typedef struct {
    bench_t *bench;
    sync_exchange_t *exchange;
    sync_round_t round;
    sync_counter_t counter; /* one of the limit of 100 */
    size_t answers, failed;
} turns_t;

static int set_up_turns(void **state)
{
    static turns_t turns;
    static const sync_options_t options = {.server_count = 1};
    void *bench = NULL;

    if (set_up(&bench) != 0) {
        return -1;
    }
    memset(&turns, 0, sizeof turns);
    turns.bench = bench;
    turns.round = (sync_round_t){.shared = &turns.bench->shared,
                                 .image = turns.bench->image,
                                 .live_nodes = 2,
                                 .now = turns.bench->now};
    l7s_slot_t *slot = take(bench, 100, 1);
    turns.counter =
        sync_counter_at(&turns.round, (uint32_t)(slot - turns.bench->shared.table.slots));
    *state = &turns;
    return sync_exchange_create((sync_bus_t *)bench, &options, &turns.exchange) == L7S_OK
               ? 0
               : -1;
}

static int tear_down_turns(void **state)
{
    turns_t *turns = *state;
    void *bench = turns->bench;

    sync_exchange_free(turns->exchange);
    return tear_down(&bench);
}

/* An answer to each question; those that failed had no time. */
static void answer(void *context, const sync_question_t *question,
                   const l7s_meta_op_t *op)
{
    turns_t *turns = context;

    turns->answers++;
    if (op->status == L7S_META_FAILED) {
        turns->failed++;
        assert_int_equal(sync_exchange_postpone(turns->exchange, question, op), up);
    }
}

static void test_exchange_that_is_full_resumes_where_it_ended(void **state)
{
    turns_t *turns = *state;
    size_t asked = 0;

    assert_true(sync_exchange_begin(turns->exchange));
    while (sync_exchange_has_turn(turns->exchange, (uint32_t)asked)) {
        sync_exchange_ask(turns->exchange, &turns->counter, 0);
        asked++;
    }
    assert_in_range(asked, SYNC_QUESTIONS_MAX - 1, SYNC_QUESTIONS_MAX);
    assert_false(sync_exchange_has_room(turns->exchange));
    assert_false(sync_exchange_has_turn(turns->exchange, (uint32_t)asked + 1));
    sync_exchange_end_turns(turns->exchange);
    assert_int_equal(sync_exchange_overrun(turns->exchange), asked);

    assert_true(sync_exchange_begin(turns->exchange));
    assert_int_equal(sync_exchange_overrun(turns->exchange), 0);
    assert_true(sync_exchange_has_room(turns->exchange));
    assert_false(sync_exchange_has_turn(turns->exchange, 0));
    assert_false(sync_exchange_has_turn(turns->exchange, (uint32_t)asked - 1));
    assert_true(sync_exchange_has_turn(turns->exchange, (uint32_t)asked));
    sync_exchange_end_turns(turns->exchange);

    assert_true(sync_exchange_begin(turns->exchange)); /* all had their turn */
    assert_true(sync_exchange_has_turn(turns->exchange, 0));
}

static void test_exchange_without_time_resumes_with_the_first_left_out(void **state)
{
    turns_t *turns = *state;
    uint32_t index = sync_counter_index(&turns->counter);

    outcome = L7S_META_FAILED;
    up = true;
    assert_true(sync_exchange_begin(turns->exchange));
    sync_exchange_ask(turns->exchange, &turns->counter, 1);
    sync_counter_t later = turns->counter;
    later.slot++;
    sync_exchange_ask(turns->exchange, &later, 1);
    sync_exchange_end_turns(turns->exchange);
    sync_exchange_run(turns->exchange, turns->bench->now, answer, turns);
    assert_int_equal(turns->failed, 2);
    assert_int_equal(sync_exchange_overrun(turns->exchange), 2);

    assert_true(sync_exchange_begin(turns->exchange));
    assert_false(index > 0 && sync_exchange_has_turn(turns->exchange, index - 1));
    assert_true(sync_exchange_has_turn(turns->exchange, index));
}

static void test_exchange_of_a_server_that_is_down_resumes_nowhere(void **state)
{
    turns_t *turns = *state;

    outcome = L7S_META_FAILED;
    assert_true(sync_exchange_begin(turns->exchange));
    sync_exchange_ask(turns->exchange, &turns->counter, 1);
    sync_exchange_end_turns(turns->exchange);
    sync_exchange_run(turns->exchange, turns->bench->now, answer, turns);
    assert_int_equal(turns->failed, 1);
    assert_int_equal(sync_exchange_overrun(turns->exchange), 0);
    assert_true(sync_exchange_begin(turns->exchange));
    assert_true(sync_exchange_has_turn(turns->exchange, 0));
}

static void test_exchange_asks_once_per_tick(void **state)
{
    turns_t *turns = *state;

    assert_true(sync_exchange_begin(turns->exchange));
    sync_exchange_ask(turns->exchange, &turns->counter, 7);
    sync_exchange_run(turns->exchange, turns->bench->now, answer, turns);
    assert_int_equal(turns->answers, 1);
    assert_int_equal(stored(), 7);
    assert_true(sync_exchange_begin(turns->exchange));
    sync_exchange_run(turns->exchange, turns->bench->now, answer, turns);
    assert_int_equal(turns->answers, 1);
    assert_int_equal(stored(), 7);
}

#define TURNS(name) cmocka_unit_test_setup_teardown(name, set_up_turns, tear_down_turns)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TURNS(test_exchange_that_is_full_resumes_where_it_ended),
        TURNS(test_exchange_without_time_resumes_with_the_first_left_out),
        TURNS(test_exchange_of_a_server_that_is_down_resumes_nowhere),
        TURNS(test_exchange_asks_once_per_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
