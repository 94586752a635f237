/* SPDX-License-Identifier: Apache-2.0
 *
 * Episodes: one per key whoever opens it, counted exactly by many threads, folded into a
 * campaign above 32 keys, bounded by the table.
 */
#include "../../core/segment/episode.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define START 1700000000000

typedef struct {
    l7s_episodes_t episodes;
    _Atomic uint64_t dropped, tickets;
} fixture_t;

static l7s_now_t at(uint64_t ms)
{
    return (l7s_now_t){.mono_us = ms * 1000, .wall_ms = START + ms};
}

static int create(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    f->episodes = (l7s_episodes_t){.entries = calloc(L7S_EPISODES, sizeof(l7s_episode_t)),
                                   .dropped = &f->dropped,
                                   .running = calloc(L7S_EPISODES, sizeof(uint32_t)),
                                   .tickets = &f->tickets,
                                   .mint_key = {3, 4}};
    *state = f;
    return 0;
}

static int destroy(void **state)
{
    fixture_t *f = *state;
    free(f->episodes.entries);
    free((void *)f->episodes.running);
    free(f);
    return 0;
}

static l7s_hash128_t key_of(uint64_t number)
{
    uint64_t seed = number * 2 + 1;
    uint64_t lo = seeded_next(&seed);
    return (l7s_hash128_t){lo, seeded_next(&seed)};
}

static l7s_episode_facts_t facts_of(const char *policy)
{
    l7s_episode_facts_t facts = {.action = "throttle", .detector = "rate", .limit = 10};
    strcpy(facts.policy, policy);
    strcpy(facts.path, "/login");
    return facts;
}

static l7s_episode_t *open_one(fixture_t *f, uint64_t number, const char *policy)
{
    l7s_episode_facts_t facts = facts_of(policy);
    return l7s_episode_open(&f->episodes, key_of(number), &facts, at(0));
}

static void test_open_same_key_gives_same_episode(void **state)
{
    fixture_t *f = *state;
    assert_null(l7s_episode_find(&f->episodes, key_of(1)));
    l7s_episode_t *first = open_one(f, 1, "login");
    assert_non_null(first);
    assert_ptr_equal(open_one(f, 1, "login"), first);
    assert_ptr_equal(l7s_episode_find(&f->episodes, key_of(1)), first);
    l7s_episode_t *second = open_one(f, 2, "login");
    assert_ptr_not_equal(second, first);
    assert_string_not_equal(first->facts.id, second->facts.id);
    assert_string_equal(first->facts.policy, "login");
    assert_string_equal(first->facts.path, "/login");
    assert_int_equal(first->last_ms, START);
    assert_int_equal(first->facts.campaign, 0);
}

static void test_at_index_is_valid_until_the_episode_closes(void **state)
{
    fixture_t *f = *state;
    l7s_episode_t *episode = open_one(f, 1, "login");
    uint32_t index = l7s_episode_index(&f->episodes, episode);
    assert_true(index > 0);
    assert_int_equal(l7s_episode_index(&f->episodes, NULL), 0);
    assert_ptr_equal(l7s_episode_at(&f->episodes, index, key_of(1)), episode);
    assert_null(l7s_episode_at(&f->episodes, index, key_of(2)));
    assert_null(l7s_episode_at(&f->episodes, 0, key_of(1)));
    assert_null(l7s_episode_at(&f->episodes, L7S_EPISODES + 1, key_of(1)));
    l7s_episode_close(&f->episodes, episode);
    assert_null(l7s_episode_at(&f->episodes, index, key_of(1)));
    l7s_episode_t *again = open_one(f, 1, "login");
    assert_int_equal(again->requests, 0);
}

static void test_count_tells_acted_passed_and_observed_apart(void **state)
{
    fixture_t *f = *state;
    l7s_episode_t *episode = open_one(f, 1, "login");
    l7s_episode_count(episode, true, true, key_of(1), at(100));
    l7s_episode_count(episode, true, false, key_of(1), at(200));
    l7s_episode_count(episode, false, false, key_of(2), at(300));
    assert_int_equal(episode->requests, 3);
    assert_int_equal(episode->acted, 1);
    assert_int_equal(episode->passed, 1);
    assert_int_equal(episode->last_ms, START + 200);
    int bits = 0;
    for (int i = 0; i < 4; i++) {
        bits += __builtin_popcountll(episode->clients[i]);
    }
    assert_int_equal(bits, 2);
}

static void test_count_keeps_the_busiest_second(void **state)
{
    fixture_t *f = *state;
    l7s_episode_t *episode = open_one(f, 1, "login");
    static const unsigned per_second[] = {3, 50, 7, 0, 49};
    for (uint64_t second = 0; second < 5; second++) {
        for (unsigned i = 0; i < per_second[second]; i++) {
            l7s_episode_count(episode, true, true, key_of(1), at(second * 1000 + i));
        }
    }
    assert_int_equal(episode->peak_per_second, 50);
    assert_int_equal(episode->requests, 109);
}

static void test_open_above_32_keys_of_a_policy_folds_into_its_campaign(void **state)
{
    fixture_t *f = *state;
    l7s_episode_t *last = NULL;
    for (uint64_t i = 0; i < L7S_CAMPAIGN_KEYS; i++) {
        last = open_one(f, i, "login");
        assert_int_equal(last->facts.campaign, 0);
    }
    l7s_episode_t *campaign = open_one(f, 100, "login");
    assert_int_equal(campaign->facts.campaign, 1);
    assert_int_equal(campaign->active_keys, L7S_CAMPAIGN_KEYS);
    for (uint64_t i = 101; i < 5000; i++) {
        assert_ptr_equal(open_one(f, i, "login"), campaign);
    }
    assert_ptr_equal(open_one(f, 31, "login"), last); /* those that run go on */
    assert_int_equal(open_one(f, 9000, "api")->facts.campaign, 0); /* so do others */

    l7s_episode_close(&f->episodes, last); /* one ends: there is room for one */
    assert_int_equal(open_one(f, 6000, "login")->facts.campaign, 0);
    assert_ptr_equal(open_one(f, 6001, "login"), campaign);
    l7s_episode_close(&f->episodes, campaign);
    l7s_episode_t *next = open_one(f, 6001, "login");
    assert_int_equal(next->facts.campaign, 1);
    assert_int_equal(f->dropped, 0);
}

static void test_open_full_table_drops_and_counts(void **state)
{
    fixture_t *f = *state;
    _Atomic uint32_t *counters = f->episodes.running;
    f->episodes.running = NULL; /* no campaigns: every key wants an entry */
    uint32_t opened = 0;
    for (uint64_t i = 0; i < 2 * L7S_EPISODES; i++) {
        opened += open_one(f, i, "login") != NULL;
    }
    assert_true(opened <= L7S_EPISODES);
    assert_true(opened > L7S_EPISODES * 9 / 10);
    assert_int_equal(f->dropped, 2 * L7S_EPISODES - opened);
    f->episodes.running = counters;
}

static void test_recover_frees_entry_of_a_killed_opener(void **state)
{
    fixture_t *f = *state;
    l7s_cell_watch_t watch = {0};
    l7s_episode_t *episode = open_one(f, 1, "login");
    f->episodes.entries[77].key_lo = 12;
    assert_int_equal(l7s_episodes_recover(&f->episodes, &watch), 0);
    assert_int_equal(l7s_episodes_recover(&f->episodes, &watch), 1);
    assert_int_equal(f->episodes.entries[77].key_lo, 0);
    assert_ptr_equal(l7s_episode_find(&f->episodes, key_of(1)), episode);
}

static void test_incident_mint_is_a_ulid_and_unique(void **state)
{
    (void)state;
    const l7s_hashkey_t key = {5, 6};
    char before[L7S_INCIDENT_ID_MAX] = "", id[L7S_INCIDENT_ID_MAX];
    for (uint64_t i = 0; i < 10000; i++) {
        l7s_incident_mint(&key, (l7s_now_t){1, 1469918176385}, id);
        assert_int_equal(strlen(id), 30);
        assert_memory_equal(id, "inc_01ARYZ6S41", 14); /* the ULID specification's time */
        assert_int_equal(strspn(id + 4, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 26);
        assert_string_not_equal(id, before);
        strcpy(before, id);
    }
    l7s_incident_mint(&key, (l7s_now_t){1, 0xffffffffffff}, id);
    assert_memory_equal(id, "inc_7ZZZZZZZZZ", 14);
}

#define THREADS 8
#define KEYS 24
#define ROUNDS 20000

static void *open_and_count(void *argument)
{
    fixture_t *f = argument;
    l7s_episode_facts_t facts = facts_of("login");
    for (uint64_t i = 0; i < ROUNDS; i++) {
        l7s_episode_t *episode =
            l7s_episode_open(&f->episodes, key_of(i % KEYS), &facts, at(i / 100));
        if (episode != NULL) {
            l7s_episode_count(episode, true, i % 2 == 0, key_of(i), at(i / 100));
        }
    }
    return NULL;
}

static void test_count_from_many_threads_is_exact(void **state)
{
    fixture_t *f = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, open_and_count, f);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    uint64_t requests = 0, acted = 0;
    unsigned running = 0;
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        running += f->episodes.entries[i].key_lo != 0;
        requests += f->episodes.entries[i].requests;
        acted += f->episodes.entries[i].acted;
    }
    assert_int_equal(running, KEYS); /* no key has two */
    assert_int_equal(requests, THREADS * ROUNDS);
    assert_int_equal(acted, THREADS * ROUNDS / 2);
    assert_int_equal(f->dropped, 0);
}

#define EPISODES(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EPISODES(test_open_same_key_gives_same_episode),
        EPISODES(test_at_index_is_valid_until_the_episode_closes),
        EPISODES(test_count_tells_acted_passed_and_observed_apart),
        EPISODES(test_count_keeps_the_busiest_second),
        EPISODES(test_open_above_32_keys_of_a_policy_folds_into_its_campaign),
        EPISODES(test_open_full_table_drops_and_counts),
        EPISODES(test_recover_frees_entry_of_a_killed_opener),
        cmocka_unit_test(test_incident_mint_is_a_ulid_and_unique),
        EPISODES(test_count_from_many_threads_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
