/* SPDX-License-Identifier: Apache-2.0
 *
 * Places in flight: never more than may be, all of them given back, those of the dead
 * too.
 */
#include "../../core/segment/flight.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic uint64_t tickets, overflowed;
static l7s_flights_t flights = {.tickets = &tickets, .overflowed = &overflowed};

static int set_up(void **state)
{
    (void)state;
    flights.chunks = aligned_alloc(128, L7S_FLIGHTS * sizeof *flights.chunks);
    return flights.chunks == NULL;
}

static int reset(void **state)
{
    (void)state;
    memset(flights.chunks, 0, L7S_FLIGHTS * sizeof *flights.chunks);
    overflowed = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(flights.chunks);
    return 0;
}

static l7s_hash128_t key_of(uint64_t number)
{
    return (l7s_hash128_t){number * 0x9e3779b97f4a7c15ULL | 1ULL << 63,
                           number * 0xbf58476d1ce4e5b9ULL};
}

static void test_flights_take_up_to_the_limit_and_give_back(void **state)
{
    static const uint32_t limits[] = {1, 2, 27, 28, 29, 56, 100, L7S_FLIGHT_MAX};
    static uint32_t places[L7S_FLIGHT_MAX];

    (void)state;
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        l7s_hash128_t key = key_of(k + 1);
        uint32_t max = limits[k], one;
        for (uint32_t i = 0; i < max; i++) {
            assert_int_equal(l7s_flights_count(&flights, key, max), i);
            assert_int_equal(l7s_flights_take(&flights, key, max, 7, &places[i]),
                             L7S_FLIGHT_TAKEN);
        }
        assert_int_equal(l7s_flights_take(&flights, key, max, 7, &one), L7S_FLIGHT_FULL);
        l7s_flights_release(&flights, places[max / 2], 7);
        assert_int_equal(l7s_flights_count(&flights, key, max), max - 1);
        assert_int_equal(l7s_flights_take(&flights, key, max, 8, &one), L7S_FLIGHT_TAKEN);
        assert_int_equal(one, places[max / 2]);
        l7s_flights_release(&flights, one, 7); /* not its own */
        assert_int_equal(l7s_flights_count(&flights, key, max), max);
        l7s_flights_release(&flights, one, 8);
        l7s_flights_release(&flights, one, 8); /* twice is harmless */
        for (uint32_t i = 0; i < max; i++) {
            l7s_flights_release(&flights, places[i], 7);
        }
        assert_int_equal(l7s_flights_count(&flights, key, max), 0);
    }
    assert_int_equal(overflowed, 0);
}

static void test_flights_many_keys_one_after_the_other_fit(void **state)
{
    (void)state;
    for (uint64_t i = 1; i < 100000; i++) {
        uint32_t place;
        assert_int_equal(l7s_flights_take(&flights, key_of(i), 1, 7, &place),
                         L7S_FLIGHT_TAKEN);
        l7s_flights_release(&flights, place, 7);
    }
    assert_int_equal(overflowed, 0);
}

static void test_flights_full_window_lets_fly_uncounted(void **state)
{
    uint32_t place, taken = 0;

    (void)state;
    for (uint64_t i = 1; i < 3 * L7S_FLIGHTS; i++) {
        taken += l7s_flights_take(&flights, key_of(i), 1, 7, &place) == L7S_FLIGHT_TAKEN;
    }
    assert_true(taken > L7S_FLIGHTS / 2 && taken <= L7S_FLIGHTS);
    assert_int_equal(taken + overflowed, 3 * L7S_FLIGHTS - 1);
}

static void test_flights_recover_frees_places_of_the_dead_only(void **state)
{
    l7s_cell_watch_t watch = {0};
    pid_t child = fork();
    uint32_t place;

    (void)state;
    if (child == 0) {
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (unsigned i = 0; i < 40; i++) {
        int32_t owner = i % 2 == 0 ? (int32_t)child : (int32_t)getpid();
        assert_int_equal(l7s_flights_take(&flights, key_of(5), 100, owner, &place),
                         L7S_FLIGHT_TAKEN);
    }
    assert_int_equal(l7s_flights_recover(&flights, &watch), 20);
    assert_int_equal(l7s_flights_count(&flights, key_of(5), 100), 20);
    assert_int_equal(l7s_flights_recover(&flights, &watch), 0);
}

#define THREADS 4
#define ROUNDS 20000
#define MAX 3

static _Atomic int32_t flying[2], most;

static void *fly(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t place, which = i % 2;
        if (l7s_flights_take(&flights, key_of(which + 1), MAX, (int32_t)getpid(),
                             &place) == L7S_FLIGHT_TAKEN) {
            int32_t now = atomic_fetch_add(&flying[which], 1) + 1, seen = most;
            while (seen < now && !atomic_compare_exchange_weak(&most, &seen, now)) {
            }
            atomic_fetch_sub(&flying[which], 1);
            l7s_flights_release(&flights, place, (int32_t)getpid());
        }
    }
    return NULL;
}

static void test_flights_of_many_threads_never_exceed_the_limit(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fly, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_in_range(most, 1, MAX);
    assert_int_equal(l7s_flights_count(&flights, key_of(1), MAX), 0);
    assert_int_equal(l7s_flights_count(&flights, key_of(2), MAX), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        CASE(test_flights_take_up_to_the_limit_and_give_back),
        CASE(test_flights_many_keys_one_after_the_other_fit),
        CASE(test_flights_full_window_lets_fly_uncounted),
        CASE(test_flights_recover_frees_places_of_the_dead_only),
        CASE(test_flights_of_many_threads_never_exceed_the_limit),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
