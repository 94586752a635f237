/* SPDX-License-Identifier: Apache-2.0
 *
 * The table in one thread: what a slot begins with, who is evicted and who never is, what
 * the sync process gets to see.
 */
#include "../../core/segment/table.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#define LIMIT 77
#define OTHER_LIMIT 78
#define BUCKET_BYTES (L7S_BUCKET_SLOTS * sizeof(l7s_slot_t))

static const l7s_rate_t rate = {10, 10, 10000000};

typedef struct {
    l7s_table_t table;
    l7s_table_stats_t stats;
    uint64_t seed;
} fixture_t;

static l7s_now_t at(uint64_t seconds)
{
    return (l7s_now_t){.mono_us = seconds * 1000000, .wall_ms = seconds * 1000};
}

static int create(void **state, uint32_t buckets)
{
    fixture_t *f = calloc(1, sizeof *f);
    f->table.slots = aligned_alloc(64, buckets * BUCKET_BYTES);
    memset(f->table.slots, 0, buckets * BUCKET_BYTES);
    f->table.dirty = calloc(buckets / 4 + 1, 8);
    f->table.stats = &f->stats;
    f->table.buckets = buckets;
    f->table.place_key = (l7s_hashkey_t){0x0123456789abcdef, 0xfedcba9876543210};
    f->seed = 10;
    *state = f;
    return 0;
}

static int create_bucket(void **state)
{
    return create(state, 1);
}

static int create_table(void **state)
{
    return create(state, 1000); /* no power of two */
}

static int destroy(void **state)
{
    fixture_t *f = *state;
    free(f->table.slots);
    free((void *)f->table.dirty);
    free(f);
    return 0;
}

static l7s_hash128_t some_key(fixture_t *f)
{
    uint64_t lo = seeded_next(&f->seed);
    return (l7s_hash128_t){lo, seeded_next(&f->seed)};
}

static l7s_slot_t *claim(fixture_t *f, l7s_hash128_t key, uint64_t seconds)
{
    return l7s_table_claim(&f->table, key, LIMIT, &rate, at(seconds));
}

/* Claims `key` and takes `tokens` of its bucket. */
static l7s_slot_t *use(fixture_t *f, l7s_hash128_t key, uint32_t tokens, uint64_t seconds)
{
    l7s_slot_t *slot = claim(f, key, seconds);
    assert_non_null(slot);
    assert_true(l7s_bucket_take(&rate, &slot->tat, at(seconds).mono_us, tokens));
    return slot;
}

static bool holds(fixture_t *f, l7s_hash128_t key)
{
    return l7s_table_find(&f->table, key) != NULL;
}

static void test_find_absent_key_gives_nothing_and_changes_nothing(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < 1000; i++) {
        assert_null(l7s_table_find(&f->table, some_key(f)));
    }
    l7s_slot_t zero[L7S_BUCKET_SLOTS];
    memset(zero, 0, sizeof zero);
    for (uint32_t b = 0; b < f->table.buckets; b++) {
        assert_memory_equal(f->table.slots + b * L7S_BUCKET_SLOTS, zero, sizeof zero);
    }
}

static void test_claim_new_key_gives_full_bucket_once(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[500];
    l7s_slot_t *slots[500];
    for (int i = 0; i < 500; i++) {
        keys[i] = some_key(f);
        slots[i] = claim(f, keys[i], 5);
        assert_non_null(slots[i]);
        assert_int_equal(slots[i]->limit, LIMIT);
        assert_int_equal(slots[i]->requests, rate.requests);
        assert_int_equal(slots[i]->touched_s, 5);
        assert_int_equal(l7s_bucket_headroom(&rate, slots[i]->tat, at(5).mono_us), 10);
    }
    for (int i = 0; i < 500; i++) {
        assert_ptr_equal(claim(f, keys[i], 6), slots[i]);
        assert_ptr_equal(l7s_table_find(&f->table, keys[i]), slots[i]);
        assert_int_equal(slots[i]->touched_s, 6);
        assert_true(l7s_slot_key(slots[i]).lo == keys[i].lo);
        assert_true(l7s_slot_key(slots[i]).hi == keys[i].hi);
    }
    assert_int_equal(f->stats.claimed, 500);
    assert_int_equal(f->stats.evicted_idle + f->stats.evicted_live, 0);
}

static void test_claim_key_that_looks_like_a_ticket_works(void **state)
{
    fixture_t *f = *state;
    for (uint64_t lo = 0; lo < 5; lo++) {
        l7s_hash128_t key = {lo, 99};
        l7s_slot_t *slot = claim(f, key, 1);
        assert_non_null(slot);
        assert_ptr_equal(l7s_table_find(&f->table, key), slot);
        assert_true(l7s_slot_key(slot).lo != 0);
        assert_true(l7s_table_release(&f->table, slot, l7s_slot_key(slot)));
        assert_false(holds(f, key));
    }
}

static void test_claim_full_bucket_evicts_drained_first(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        use(f, keys[i], i == 5 ? 1 : 5, 100);
    }
    assert_non_null(claim(f, some_key(f), 103)); /* 5 has drained, the others have not */
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        assert_int_equal(holds(f, keys[i]), i != 5);
    }
    assert_int_equal(f->stats.evicted_idle, 1);
    assert_int_equal(f->stats.evicted_live, 0);
}

static void test_claim_full_bucket_spares_drained_but_young_slots(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        claim(f, keys[i], i == 3 ? 97 : 99); /* all drained: nothing was taken */
    }
    assert_non_null(claim(f, some_key(f), 100));
    assert_false(holds(f, keys[3]));
    assert_int_equal(f->stats.evicted_idle, 1);
}

static void test_claim_full_bucket_then_evicts_longest_untouched_in_use(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        use(f, keys[i], 9, i == 6 ? 100 : 102);
    }
    assert_non_null(claim(f, some_key(f), 103));
    assert_false(holds(f, keys[6]));
    assert_int_equal(f->stats.evicted_live, 1);
    assert_int_equal(f->stats.evicted_idle, 0);
}

static void test_claim_full_bucket_over_limit_is_kept_and_claim_fails(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        l7s_slot_t *slot = use(f, keys[i], 10, 100);
        if (i < 4) { /* of another limit: only its episode tells that it is over */
            slot->limit = OTHER_LIMIT;
            slot->episode = 1;
        }
    }
    for (int i = 0; i < 100; i++) {
        assert_null(claim(f, some_key(f), 100));
    }
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        assert_true(holds(f, keys[i]));
    }
    assert_int_equal(f->stats.overflowed, 100);
    assert_int_equal(f->stats.evicted_live, 0);
}

static void test_claim_full_bucket_over_limit_is_evicted_last(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        l7s_slot_t *slot = use(f, keys[i], 10, 100);
        l7s_bucket_debit(&rate, &slot->tat, at(100).mono_us, 5);
        slot->episode = i == 2 ? 0 : 1;
        slot->limit = OTHER_LIMIT;
        slot->touched_s = i == 2 ? 109 : 100;
    }
    assert_non_null(
        claim(f, some_key(f), 109)); /* below its limit: goes although young */
    assert_false(holds(f, keys[2]));
    assert_non_null(claim(f, some_key(f), 112)); /* long untouched: last, not never */
    assert_int_equal(f->stats.evicted_live, 1);
    assert_int_equal(f->stats.evicted_idle, 1);
}

/* --- tallies: the word means something else, and so does "drained" --- */

static l7s_slot_t *tally(fixture_t *f, l7s_hash128_t key, uint32_t count,
                         uint64_t seconds)
{
    l7s_slot_t *slot = l7s_table_claim_tally(&f->table, key, LIMIT, 10, at(seconds));
    assert_non_null(slot);
    l7s_tally_add(10, &slot->tat, at(seconds).mono_us, count);
    return slot;
}

static void test_claim_tally_begins_empty_and_stays_what_it_is(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t key = some_key(f);
    l7s_slot_t *slot = l7s_table_claim_tally(&f->table, key, LIMIT, 10, at(100));
    assert_non_null(slot);
    assert_int_equal(slot->tally_s, 10);
    assert_int_equal(slot->limit, LIMIT);
    assert_int_equal(l7s_tally_count(10, slot->tat, at(100).mono_us), 0);
    assert_ptr_equal(tally(f, key, 3, 103), slot);
    assert_int_equal(slot->touched_s, 103);
    assert_int_equal(l7s_tally_count(10, slot->tat, at(103).mono_us), 3);
    assert_int_equal(claim(f, some_key(f), 103)->tally_s, 0);
}

static void
test_claim_full_bucket_evicts_tallies_that_count_nothing_any_more(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS];
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        keys[i] = some_key(f);
        tally(f, keys[i], i == 5 ? 0 : 1, 100);
    }
    assert_non_null(claim(f, some_key(f), 109)); /* the empty one */
    assert_false(holds(f, keys[5]));
    assert_int_equal(f->stats.evicted_idle, 1);
    assert_non_null(tally(f, some_key(f), 1, 120)); /* two periods later, any */
    assert_int_equal(f->stats.evicted_idle, 2);
    assert_int_equal(f->stats.evicted_live, 0);
    assert_int_equal(f->stats.overflowed, 0);
}

static void test_claim_busy_neighbours_are_not_touched(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        f->table.slots[i].key_lo = 2 + 2 * (uint64_t)i; /* claims that hang */
    }
    assert_null(claim(f, some_key(f), 1));
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        assert_int_equal(f->table.slots[i].key_lo, 2 + 2 * i);
    }
    assert_int_equal(f->stats.overflowed, 1);
}

/* A claimer that hangs does not cost a counter in use, and does not block for ever. */
static void test_claim_beside_hanging_claim_takes_drained_slot(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t keys[L7S_BUCKET_SLOTS - 1];
    for (int i = 0; i < L7S_BUCKET_SLOTS - 1; i++) {
        keys[i] = some_key(f);
        use(f, keys[i], i == 4 ? 1 : 9, 100);
    }
    for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
        if (f->table.slots[i].key_lo == 0) {
            f->table.slots[i].key_lo = 2;
        }
    }
    assert_non_null(claim(f, some_key(f), 104));
    assert_false(holds(f, keys[4]));
    assert_int_equal(f->stats.evicted_live, 0);
}

static void test_mark_sets_the_bit_when_pending_leaves_zero(void **state)
{
    fixture_t *f = *state;
    l7s_slot_t *slot = claim(f, some_key(f), 1);
    size_t index = (size_t)(slot - f->table.slots);
    _Atomic uint64_t *word = &f->table.dirty[index / 64];
    l7s_table_mark(&f->table, slot, 3, (l7s_now_t){.mono_us = 7654321});
    assert_true(*word == (uint64_t)1 << (index % 64));
    assert_int_equal(slot->pending, 3);
    assert_int_equal(slot->pending_since, 7654);
    *word = 0;
    l7s_table_mark(&f->table, slot, 4, (l7s_now_t){.mono_us = 9999999});
    assert_true(*word == 0);
    assert_int_equal(slot->pending, 7);
    assert_int_equal(slot->pending_since, 7654);
}

static void test_mark_saturates(void **state)
{
    fixture_t *f = *state;
    l7s_slot_t *slot = claim(f, some_key(f), 1);
    l7s_table_mark(&f->table, slot, UINT32_MAX - 1, at(1));
    l7s_table_mark(&f->table, slot, 5, at(1));
    assert_int_equal(slot->pending, UINT32_MAX);
}

/* Visits: takes `take` tokens of each slot and answers `stay`. */
typedef struct {
    uint32_t take, visits;
    bool stay;
} visitor_t;

static bool visit(void *context, uint32_t index, l7s_slot_t *slot)
{
    visitor_t *visitor = context;
    (void)index;
    visitor->visits++;
    slot->pending -= visitor->take < slot->pending ? visitor->take : slot->pending;
    return visitor->stay;
}

static void test_visit_dirty_sees_each_marked_slot_once(void **state)
{
    fixture_t *f = *state;
    for (int i = 0; i < 300; i++) {
        l7s_slot_t *slot = claim(f, some_key(f), 1);
        if (i % 3 == 0) {
            l7s_table_mark(&f->table, slot, 2, at(1));
            l7s_table_mark(&f->table, slot, 2, at(1));
        }
    }
    visitor_t visitor = {.take = 4};
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &visitor), 100);
    assert_int_equal(visitor.visits, 100);
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &visitor), 0);
}

static void test_visit_dirty_slot_with_a_rest_or_a_wish_stays(void **state)
{
    fixture_t *f = *state;
    l7s_table_mark(&f->table, claim(f, some_key(f), 1), 5, at(1));
    visitor_t some = {.take = 3}, rest = {.take = 9, .stay = true}, none = {.take = 0};
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &some), 1); /* 2 are left */
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &rest),
                     1); /* wants to stay */
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &none), 1);
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &none), 0);
}

static void test_visit_dirty_free_and_busy_slots_are_skipped(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t key = some_key(f);
    l7s_slot_t *slot = claim(f, key, 1);
    l7s_table_mark(&f->table, slot, 1, at(1));
    assert_true(l7s_table_release(&f->table, slot, key));
    visitor_t visitor = {0};
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &visitor), 0);
    f->table.dirty[0] = 1;
    f->table.slots[0].key_lo = 2;
    assert_int_equal(l7s_table_visit_dirty(&f->table, visit, &visitor), 0);
}

static void test_release_only_frees_the_key_it_names(void **state)
{
    fixture_t *f = *state;
    l7s_hash128_t key = some_key(f), other = {key.lo, key.hi + 1};
    l7s_slot_t *slot = use(f, key, 3, 1);
    assert_false(l7s_table_release(&f->table, slot, other));
    assert_false(l7s_table_release(&f->table, slot, some_key(f)));
    assert_true(holds(f, key));
    assert_true(l7s_table_release(&f->table, slot, key));
    assert_false(holds(f, key));
    assert_false(l7s_table_release(&f->table, slot, key));
    assert_int_equal(f->stats.released, 1);
    slot = claim(f, key, 1); /* a new slot begins full */
    assert_int_equal(l7s_bucket_headroom(&rate, slot->tat, at(1).mono_us), 10);
}

static void test_sweep_frees_dead_claims_and_visits_the_rest(void **state)
{
    fixture_t *f = *state;
    l7s_cell_watch_t watch = {0};
    visitor_t visitor = {0};
    for (int i = 0; i < 100; i++) {
        assert_non_null(claim(f, some_key(f), 1));
    }
    uint32_t size = l7s_table_size(&f->table), dead = 0;
    for (uint32_t i = 0; i < size && dead < 5; i += 1000) {
        if (f->table.slots[i].key_lo == 0) {
            f->table.slots[i].key_lo = 4 + i * 2 + dead % 2;
            dead++;
        }
    }
    assert_int_equal(l7s_table_sweep(&f->table, 0, size, &watch, visit, &visitor), 0);
    assert_int_equal(visitor.visits, 100);
    uint32_t freed = 0;
    for (uint32_t first = 0; first < size;
         first += 512) { /* a round in pieces, and more */
        freed += l7s_table_sweep(&f->table, first, 512, &watch, NULL, NULL);
    }
    assert_int_equal(freed, dead);
}

#define IN_BUCKET(test) cmocka_unit_test_setup_teardown(test, create_bucket, destroy)
#define IN_TABLE(test) cmocka_unit_test_setup_teardown(test, create_table, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TABLE(test_find_absent_key_gives_nothing_and_changes_nothing),
        IN_TABLE(test_claim_new_key_gives_full_bucket_once),
        IN_TABLE(test_claim_key_that_looks_like_a_ticket_works),
        IN_BUCKET(test_claim_full_bucket_evicts_drained_first),
        IN_BUCKET(test_claim_full_bucket_spares_drained_but_young_slots),
        IN_BUCKET(test_claim_full_bucket_then_evicts_longest_untouched_in_use),
        IN_BUCKET(test_claim_full_bucket_over_limit_is_kept_and_claim_fails),
        IN_BUCKET(test_claim_full_bucket_over_limit_is_evicted_last),
        IN_TABLE(test_claim_tally_begins_empty_and_stays_what_it_is),
        IN_BUCKET(test_claim_full_bucket_evicts_tallies_that_count_nothing_any_more),
        IN_BUCKET(test_claim_busy_neighbours_are_not_touched),
        IN_BUCKET(test_claim_beside_hanging_claim_takes_drained_slot),
        IN_TABLE(test_mark_sets_the_bit_when_pending_leaves_zero),
        IN_TABLE(test_mark_saturates),
        IN_TABLE(test_visit_dirty_sees_each_marked_slot_once),
        IN_TABLE(test_visit_dirty_slot_with_a_rest_or_a_wish_stays),
        IN_TABLE(test_visit_dirty_free_and_busy_slots_are_skipped),
        IN_TABLE(test_release_only_frees_the_key_it_names),
        IN_TABLE(test_sweep_frees_dead_claims_and_visits_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
