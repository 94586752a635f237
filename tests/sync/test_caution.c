/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process learns from the end of its predecessor; a fake clock.
 */
#include "../../mod_l7shield/sync/caution.h"
#include "unit.h"
#include <stdlib.h>

typedef struct {
    l7s_segment_t *header;
    sync_caution_t caution;
    l7s_now_t now;
} life_t;

static void pass(life_t *life, uint64_t ms)
{
    life->now.mono_us += ms * 1000;
}

static void begin(life_t *life)
{
    sync_caution_begin(&life->caution, life->header, life->now);
}

static bool ticks(life_t *life)
{
    bool speaks = sync_caution_enter(&life->caution, life->now);

    sync_caution_leave(&life->caution, life->now);
    return speaks;
}

/* It speaks to the store, and that is the last we hear of it. */
static void begin_and_die(life_t *life)
{
    begin(life);
    pass(life, 4000);
    assert_true(sync_caution_enter(&life->caution, life->now));
}

static int setup(void **state)
{
    static life_t life;

    life =
        (life_t){.header = calloc(1, sizeof *life.header), .now = {.mono_us = 5000000}};
    *state = &life;
    return life.header == NULL;
}

static int teardown(void **state)
{
    free(((life_t *)*state)->header);
    return 0;
}

static void test_caution_after_a_clean_end_speaks_at_once(void **state)
{
    life_t *life = *state;

    for (unsigned i = 0; i < 3; i++) {
        begin(life);
        assert_true(ticks(life));
    }
}

static void test_caution_after_one_death_speaks_at_once(void **state)
{
    life_t *life = *state;

    begin_and_die(life);
    begin(life);
    assert_true(ticks(life));
}

static void test_caution_after_several_deaths_rests_ever_longer(void **state)
{
    static const uint64_t rests_ms[] = {1000, 2000, 4000, 4000};
    life_t *life = *state;

    begin_and_die(life);
    for (unsigned i = 0; i < sizeof rests_ms / sizeof *rests_ms; i++) {
        begin_and_die(life);
        begin(life);
        pass(life, rests_ms[i] - 1);
        assert_false(ticks(life));
        pass(life, 1);
        assert_true(ticks(life));
        /* Not leaving it behind, so that the next one dies in a row. */
        life->header->in_store = 0;
    }
}

static void test_caution_while_it_rests_a_violent_end_is_not_the_stores(void **state)
{
    life_t *life = *state;

    begin_and_die(life);
    begin_and_die(life);
    begin(life);
    assert_false(sync_caution_enter(&life->caution, life->now));
    assert_int_equal(life->header->in_store, 0);
    begin(life); /* killed meanwhile: as careful as before, not more */
    pass(life, 1000);
    assert_true(ticks(life));
}

static void test_caution_forgets_after_ten_seconds_with_the_store(void **state)
{
    life_t *life = *state;

    begin_and_die(life);
    begin_and_die(life);
    begin(life);
    pass(life, 1000);
    assert_true(ticks(life));
    pass(life, 9999);
    assert_true(ticks(life));
    assert_int_equal(life->header->store_deaths, 2);
    pass(life, 1);
    assert_true(ticks(life));
    assert_int_equal(life->header->store_deaths, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_caution_after_a_clean_end_speaks_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_caution_after_one_death_speaks_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_caution_after_several_deaths_rests_ever_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_caution_while_it_rests_a_violent_end_is_not_the_stores, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_caution_forgets_after_ten_seconds_with_the_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
