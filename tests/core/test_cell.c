/* SPDX-License-Identifier: Apache-2.0
 *
 * The claim protocol step by step, with the rival played by hand at the worst moments.
 * What threads and processes make of it is in test_table_shared.c.
 */
#include "../../core/segment/cell.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define CELLS 4

typedef struct {
    l7s_cell_t cells[CELLS];
    _Atomic uint64_t tickets;
    l7s_window_t window;
} fixture_t;

static const l7s_hash128_t key = {0x1111111111111111, 0x2222222222222222};

static fixture_t *fresh(void)
{
    static fixture_t fixture;
    memset(&fixture, 0, sizeof fixture);
    fixture.window = (l7s_window_t){.base = (char *)fixture.cells,
                                    .stride = sizeof(l7s_cell_t),
                                    .first = 2,
                                    .mask = CELLS - 1,
                                    .count = CELLS};
    return &fixture;
}

static uint64_t acquire(fixture_t *f, l7s_cell_t *cell)
{
    uint64_t ticket;
    assert_true(l7s_cell_acquire(cell, 0, &f->tickets, &ticket));
    return ticket;
}

/* A rival that has come as far as announcing and was preempted there. */
static uint64_t announce(fixture_t *f, l7s_cell_t *cell, l7s_hash128_t rival_key)
{
    uint64_t ticket = acquire(f, cell) | 1;
    atomic_store(&cell->hi, rival_key.hi);
    atomic_store(&cell->lo, ticket);
    return ticket;
}

static void test_storable_small_keys_are_moved_consistently(void **state)
{
    (void)state;
    static const uint64_t small[] = {0, 1, 2, L7S_CELL_TICKETS - 1};
    for (size_t i = 0; i < 4; i++) {
        l7s_hash128_t moved = l7s_cell_storable((l7s_hash128_t){small[i], 7});
        assert_true(moved.lo >= L7S_CELL_TICKETS);
        assert_true(l7s_cell_storable(moved).lo == moved.lo);
        assert_true(moved.hi == 7);
    }
    assert_true(l7s_cell_storable(key).lo == key.lo);
    assert_true(l7s_cell_storable((l7s_hash128_t){L7S_CELL_TICKETS, 0}).lo ==
                L7S_CELL_TICKETS);
}

static void test_publish_alone_is_found(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    assert_null(l7s_window_find(&f->window, key));
    uint64_t ticket = acquire(f, &f->cells[1]);
    assert_null(l7s_window_find(&f->window, key));
    assert_true(l7s_cell_key(&f->cells[1]).lo == 0);
    assert_true(l7s_cell_publish(&f->window, &f->cells[1], ticket, key, 0));
    assert_ptr_equal(l7s_window_find(&f->window, key), &f->cells[1]);
    assert_true(l7s_cell_key(&f->cells[1]).lo == key.lo);
    assert_true(l7s_cell_key(&f->cells[1]).hi == key.hi);
}

static void test_acquire_cell_that_changed_is_refused(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    acquire(f, &f->cells[0]);
    uint64_t ticket;
    assert_false(l7s_cell_acquire(&f->cells[0], 0, &f->tickets, &ticket));
}

static void test_publish_key_stands_already_gives_way(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    uint64_t first = acquire(f, &f->cells[0]);
    uint64_t second = acquire(f, &f->cells[3]);
    assert_true(l7s_cell_publish(&f->window, &f->cells[0], first, key, 0));
    assert_false(l7s_cell_publish(&f->window, &f->cells[3], second, key, 9));
    assert_true(atomic_load(&f->cells[3].lo) == 0);
    assert_ptr_equal(l7s_window_find(&f->window, key), &f->cells[0]);
}

static void test_publish_rival_announced_gives_way_then_cancels(void **state)
{
    (void)state;
    for (size_t rival = 0; rival < CELLS; rival += 3) {
        fixture_t *f = fresh();
        uint64_t theirs = announce(f, &f->cells[rival], key);
        uint64_t ticket = acquire(f, &f->cells[1]);
        assert_false(l7s_cell_publish(&f->window, &f->cells[1], ticket, key, 0));
        assert_true(atomic_load(&f->cells[1].lo) == 0);
        assert_true(atomic_load(&f->cells[rival].lo) == theirs);

        ticket = acquire(f, &f->cells[1]);
        assert_true(l7s_cell_publish(&f->window, &f->cells[1], ticket, key, 9));
        assert_true(atomic_load(&f->cells[rival].lo) == 0);
    }
}

static void test_publish_cancelled_ticket_cannot_publish(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    uint64_t ticket = acquire(f, &f->cells[1]);
    atomic_store(&f->cells[1].lo, 0); /* cancelled, and taken by somebody else */
    uint64_t theirs = acquire(f, &f->cells[1]);
    assert_false(l7s_cell_publish(&f->window, &f->cells[1], ticket, key, 0));
    assert_true(atomic_load(&f->cells[1].lo) == theirs);
    assert_null(l7s_window_find(&f->window, key));
}

static void test_publish_rivals_for_other_keys_are_left_alone(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    l7s_hash128_t other = {key.lo, key.hi + 1};
    uint64_t announced = announce(f, &f->cells[0], other);
    uint64_t acquired = acquire(f, &f->cells[2]);
    uint64_t ticket = acquire(f, &f->cells[1]);
    assert_true(l7s_cell_publish(&f->window, &f->cells[1], ticket, key, 9));
    assert_true(atomic_load(&f->cells[0].lo) == announced);
    assert_true(atomic_load(&f->cells[2].lo) == acquired);
}

static void test_recover_frees_at_second_sight_of_one_ticket(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    l7s_cell_watch_t watch = {0};
    acquire(f, &f->cells[0]);
    assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));
    assert_true(l7s_cell_recover(&watch, 0, &f->cells[0]));
    assert_true(atomic_load(&f->cells[0].lo) == 0);
    assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));

    /* Another ticket in the same cell is another claimer: alive until seen twice. */
    acquire(f, &f->cells[0]);
    assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));
    atomic_store(&f->cells[0].lo, 0);
    acquire(f, &f->cells[0]);
    assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));
    assert_true(l7s_cell_recover(&watch, 0, &f->cells[0]));
}

static void test_recover_published_cell_is_never_freed(void **state)
{
    (void)state;
    fixture_t *f = fresh();
    l7s_cell_watch_t watch = {0};
    uint64_t ticket = acquire(f, &f->cells[0]);
    assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));
    assert_true(l7s_cell_publish(&f->window, &f->cells[0], ticket, key, 0));
    for (int i = 0; i < 3; i++) {
        assert_false(l7s_cell_recover(&watch, 0, &f->cells[0]));
    }
    assert_ptr_equal(l7s_window_find(&f->window, key), &f->cells[0]);
}

/* More dead claims than the watch remembers: all are freed, in a few rounds. */
static void test_recover_many_dead_claims_are_freed_in_rounds(void **state)
{
    (void)state;
    static l7s_cell_t cells[200];
    _Atomic uint64_t tickets = 0;
    l7s_cell_watch_t watch = {0};
    memset(cells, 0, sizeof cells);
    for (uint32_t i = 0; i < 200; i++) {
        uint64_t ticket;
        assert_true(l7s_cell_acquire(&cells[i], 0, &tickets, &ticket));
    }
    uint32_t freed = 0;
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 200; i++) {
            freed += l7s_cell_recover(&watch, i, &cells[i]);
        }
    }
    assert_int_equal(freed, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storable_small_keys_are_moved_consistently),
        cmocka_unit_test(test_publish_alone_is_found),
        cmocka_unit_test(test_acquire_cell_that_changed_is_refused),
        cmocka_unit_test(test_publish_key_stands_already_gives_way),
        cmocka_unit_test(test_publish_rival_announced_gives_way_then_cancels),
        cmocka_unit_test(test_publish_cancelled_ticket_cannot_publish),
        cmocka_unit_test(test_publish_rivals_for_other_keys_are_left_alone),
        cmocka_unit_test(test_recover_frees_at_second_sight_of_one_ticket),
        cmocka_unit_test(test_recover_published_cell_is_never_freed),
        cmocka_unit_test(test_recover_many_dead_claims_are_freed_in_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
