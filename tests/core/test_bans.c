/* SPDX-License-Identifier: Apache-2.0
 *
 * Bans: begin, end, lifting and its memory, networks of every width, a full table,
 * workers that write at once and one that dies while it writes.
 */
#include "../../core/key.h"
#include "../../core/segment/bans.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY 1024
#define START 1700000000000

static const l7s_hashkey_t count_key = {1, 2};

static l7s_now_t at(uint64_t seconds)
{
    return (l7s_now_t){.mono_us = seconds * 1000000, .wall_ms = START + seconds * 1000};
}

static int create(void **state)
{
    l7s_bans_t *bans = calloc(1, sizeof *bans);
    size_t size = (l7s_bans_memory(CAPACITY) + 63) & ~(size_t)63;
    bans->head = aligned_alloc(64, size);
    memset((void *)bans->head, 0, size);
    bans->slots = (l7s_ban_slot_t *)((char *)bans->head + l7s_bans_memory(0));
    bans->capacity = CAPACITY;
    *state = bans;
    return 0;
}

static int destroy(void **state)
{
    l7s_bans_t *bans = *state;
    free((void *)bans->head);
    free(bans);
    return 0;
}

static l7s_addr_t addr(const char *text)
{
    l7s_addr_t parsed;
    assert_true(l7s_addr_parse(text, &parsed));
    return parsed;
}

/* A ban of a network; as `part` client its id is written "ip:…" for IPv4. */
static l7s_ban_t ban_of(const char *text, l7s_part_t part, uint64_t from, uint64_t until)
{
    l7s_ban_t ban = {.is_address = true, .status = 403, .policy = "login"};
    assert_int_equal(l7s_cidr_parse(text, &ban.network), L7S_OK);
    ban.digest = l7s_key_digest_cidr(&count_key, part, &ban.network);
    bool ip = part == L7S_PART_CLIENT && l7s_addr_is_v4(&ban.network.base);
    snprintf(ban.id, sizeof ban.id, "%s:%s", ip ? "ip" : "net", text);
    ban.since_ms = at(from).wall_ms;
    ban.until_ms = until == UINT64_MAX ? UINT64_MAX : at(until).wall_ms;
    return ban;
}

static l7s_ban_t numbered(uint64_t number, uint64_t from, uint64_t until)
{
    l7s_ban_t ban = {.status = 429, .since_ms = at(from).wall_ms};
    uint64_t seed = number * 2 + 1;
    ban.digest.lo = seeded_next(&seed);
    ban.digest.hi = seeded_next(&seed);
    ban.until_ms = at(until).wall_ms;
    snprintf(ban.id, sizeof ban.id, "header:h-%u", (unsigned)number);
    snprintf(ban.incident, sizeof ban.incident, "header:h-%u", (unsigned)number);
    return ban;
}

static void put(const l7s_bans_t *bans, const l7s_ban_t *ban, uint64_t seconds)
{
    assert_int_equal(l7s_bans_put(bans, ban, at(seconds)), L7S_OK);
}

static bool is_banned(const l7s_bans_t *bans, const char *text, uint64_t seconds)
{
    l7s_addr_t peer = addr(text);
    return l7s_bans_find_address(bans, &count_key, &peer, at(seconds), NULL);
}

static void test_put_client_is_banned_until_its_end(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = ban_of("203.0.113.7", L7S_PART_CLIENT, 0, 10), found;
    assert_false(is_banned(bans, "203.0.113.7", 0));
    put(bans, &ban, 0);
    assert_true(is_banned(bans, "203.0.113.7", 0));
    assert_true(is_banned(bans, "203.0.113.7", 9));
    assert_false(is_banned(bans, "203.0.113.7", 10));
    assert_false(is_banned(bans, "203.0.113.8", 5));
    assert_true(l7s_bans_find(bans, ban.digest, at(5), &found));
    assert_string_equal(found.id, "ip:203.0.113.7");
    assert_string_equal(found.policy, "login");
    assert_int_equal(found.until_ms, ban.until_ms);
    assert_int_equal(found.status, 403);
}

static void test_put_without_end_stays(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = ban_of("203.0.113.7", L7S_PART_CLIENT, 0, UINT64_MAX);
    put(bans, &ban, 0);
    assert_true(is_banned(bans, "203.0.113.7", 1000000000));
}

static void test_put_networks_of_every_width_cover_what_is_inside(void **state)
{
    const l7s_bans_t *bans = *state;
    static const struct {
        const char *network, *inside, *outside;
    } cases[] = {
        {"203.0.113.0/24", "203.0.113.255", "203.0.114.0"},
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
        {"192.0.2.9", "192.0.2.9", "192.0.2.8"},
        {"128.0.0.0/1", "200.0.0.1", "100.0.0.1"},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"},
        {"2001:aaaa:1:2::/64", "2001:aaaa:1:2:3::4", "2001:aaaa:1:3::1"},
        {"2001:bbbb::1", "2001:bbbb::1", "2001:bbbb::2"},
        {"4000::/3", "5fff::1", "6000::1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_ban_t ban = ban_of(cases[i].network, L7S_PART_NETWORK, 0, 10);
        assert_false(is_banned(bans, cases[i].inside, 1));
        put(bans, &ban, 0);
        assert_true(is_banned(bans, cases[i].inside, 1));
        assert_false(is_banned(bans, cases[i].outside, 1));
        assert_true(l7s_bans_lift(bans, ban.digest, 0, at(2)));
        assert_false(is_banned(bans, cases[i].inside, 2));
    }
    assert_int_equal(bans->head->active, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(bans->head->widths[i] == 0);
    }
}

static void test_put_ipv6_client_covers_its_64(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = ban_of("2001:db8:1:2::/64", L7S_PART_CLIENT, 0, 10);
    put(bans, &ban, 0);
    assert_true(is_banned(bans, "2001:db8:1:2:ffff::1", 1));
    assert_false(is_banned(bans, "2001:db8:1:3::1", 1));
}

static void test_put_all_of_ipv6_does_not_cover_ipv4(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = ban_of("::/0", L7S_PART_NETWORK, 0, 10);
    put(bans, &ban, 0);
    assert_true(is_banned(bans, "2001:db8::1", 1));
    assert_false(is_banned(bans, "203.0.113.7", 1));
}

static void test_put_later_end_wins(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t found, longer = numbered(1, 0, 20), shorter = numbered(1, 1, 5);
    strcpy(shorter.policy, "other");
    put(bans, &longer, 0);
    uint64_t changes = bans->head->changes;
    put(bans, &shorter, 1);
    assert_int_equal(bans->head->changes, changes);
    assert_true(l7s_bans_find(bans, longer.digest, at(19), &found));
    assert_string_equal(found.policy, "");
    shorter.until_ms = at(30).wall_ms;
    put(bans, &shorter, 2);
    assert_true(bans->head->changes > changes);
    assert_true(l7s_bans_find(bans, longer.digest, at(29), &found));
    assert_string_equal(found.policy, "other");
    assert_int_equal(bans->head->active, 1);
    assert_int_equal(bans->head->other, 1);
}

static void test_begin_tells_a_new_ban_from_a_longer_one(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 0, 10);
    bool began;
    assert_int_equal(l7s_bans_begin(bans, &ban, at(0), &began), L7S_OK);
    assert_true(began);
    assert_int_equal(l7s_bans_begin(bans, &ban, at(1), &began), L7S_OK);
    assert_false(began);
    ban.until_ms = at(20).wall_ms;
    assert_int_equal(l7s_bans_begin(bans, &ban, at(9), &began), L7S_OK);
    assert_false(began);
    ban.since_ms = at(20).wall_ms;
    ban.until_ms = at(30).wall_ms;
    assert_int_equal(l7s_bans_begin(bans, &ban, at(20), &began), L7S_OK);
    assert_true(began);
    l7s_bans_lift(bans, ban.digest, at(40).wall_ms, at(25));
    ban.since_ms = at(26).wall_ms;
    assert_int_equal(l7s_bans_begin(bans, &ban, at(26), &began), L7S_CONFLICT);
    assert_false(began);
}

static void test_put_that_has_ended_already_is_not_recorded(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 0, 5);
    put(bans, &ban, 5);
    assert_int_equal(bans->head->active, 0);
}

static void test_lift_holds_new_bans_off(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 0, 100);
    put(bans, &ban, 0);
    assert_true(l7s_bans_lift(bans, ban.digest, at(50).wall_ms, at(10)));
    assert_false(l7s_bans_find(bans, ban.digest, at(11), NULL));
    l7s_ban_t again = numbered(1, 20, 200);
    assert_int_equal(l7s_bans_put(bans, &again, at(20)), L7S_CONFLICT);
    again.since_ms = at(51).wall_ms;
    put(bans, &again, 51);
    assert_true(l7s_bans_find(bans, ban.digest, at(52), NULL));
    assert_int_equal(bans->head->active, 1);
}

static void test_lift_without_hold_beats_older_bans_only(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 0, 100);
    put(bans, &ban, 0);
    assert_true(l7s_bans_lift(bans, ban.digest, 0, at(10)));
    assert_int_equal(l7s_bans_put(bans, &ban, at(11)), L7S_CONFLICT);
    l7s_ban_t newer = numbered(1, 11, 100);
    put(bans, &newer, 11);
    assert_true(l7s_bans_find(bans, ban.digest, at(12), NULL));
}

static void test_lift_of_unknown_ban_is_remembered(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 5, 100);
    assert_false(l7s_bans_lift(bans, ban.digest, at(50).wall_ms, at(10)));
    assert_int_equal(l7s_bans_put(bans, &ban, at(11)), L7S_CONFLICT);
    assert_int_equal(bans->head->active, 0);
}

static void collect(void *context, const l7s_ban_t *ban)
{
    uint64_t *sum = context;
    sum[0]++;
    sum[1] += ban->digest.lo;
}

static void test_lift_with_hold_frees_one_client_of_a_banned_network(void **state)
{
    l7s_bans_t *bans = *state;
    l7s_ban_t network = ban_of("203.0.113.0/24", L7S_PART_NETWORK, 0, 100);
    l7s_ban_t client = ban_of("203.0.113.7", L7S_PART_CLIENT, 0, 100);
    l7s_addr_t one = addr("203.0.113.7"), other = addr("203.0.113.8");

    assert_int_equal(l7s_bans_put(bans, &network, at(0)), L7S_OK);
    assert_false(l7s_bans_holds_free(bans, &count_key, &one, at(1)));
    l7s_bans_lift(bans, client.digest, at(1).wall_ms, at(1)); /* no hold */
    assert_true(l7s_bans_find_address(bans, &count_key, &one, at(2), NULL));
    l7s_bans_lift(bans, client.digest, at(10).wall_ms, at(3));
    assert_true(l7s_bans_holds_free(bans, &count_key, &one, at(4)));
    assert_false(l7s_bans_holds_free(bans, &count_key, &other, at(4)));
    assert_false(l7s_bans_find_address(bans, &count_key, &one, at(4), NULL));
    assert_true(l7s_bans_find_address(bans, &count_key, &other, at(4), NULL));
    assert_true(l7s_bans_find_address(bans, &count_key, &one, at(11), NULL));
}

static void test_visit_gives_each_ban_in_force_and_frees_the_rest(void **state)
{
    const l7s_bans_t *bans = *state;
    uint64_t expected[2] = {0, 0}, sum[2] = {0, 0};
    for (uint64_t i = 0; i < 300; i++) {
        l7s_ban_t ban = numbered(i, 0, i % 2 ? 10 : 20);
        put(bans, &ban, 0);
        if (i % 2 == 0) {
            expected[0]++;
            expected[1] += ban.digest.lo;
        }
    }
    assert_int_equal(bans->head->active, 300);
    l7s_bans_visit(bans, at(15), collect, sum);
    assert_int_equal(sum[0], expected[0]);
    assert_true(sum[1] == expected[1]);
    assert_int_equal(bans->head->active, 150);
    assert_int_equal(bans->head->other, 150);
    l7s_bans_visit(bans, at(30), collect, sum);
    assert_int_equal(bans->head->active, 0);
    assert_int_equal(sum[0], expected[0]);
}

static void test_visit_forgets_lifts_in_the_end(void **state)
{
    const l7s_bans_t *bans = *state;
    for (int round = 0; round < 3; round++) { /* more lifts than there are slots */
        uint64_t begin = (uint64_t)round * 10000;
        for (uint64_t i = 0; i < CAPACITY / 2; i++) {
            l7s_ban_t ban = numbered(begin + i, begin, begin + 100);
            l7s_bans_lift(bans, ban.digest, 0, at(begin));
        }
        assert_int_equal(bans->head->dropped, 0);
        l7s_bans_visit(bans, at(begin + 601), NULL, NULL);
    }
}

static void test_put_full_table_drops_and_counts(void **state)
{
    const l7s_bans_t *bans = *state;
    uint32_t stored = 0;
    l7s_ban_t ban;
    uint64_t i = 0;
    for (; i < 4 * CAPACITY; i++) {
        ban = numbered(i, 0, 100);
        l7s_status_t status = l7s_bans_put(bans, &ban, at(0));
        assert_true(status == L7S_OK || status == L7S_TOO_BIG);
        stored += status == L7S_OK;
        assert_int_equal(l7s_bans_find(bans, ban.digest, at(1), NULL), status == L7S_OK);
    }
    assert_int_equal(bans->head->active, stored);
    assert_int_equal(bans->head->dropped, 4 * CAPACITY - stored);
    assert_true(stored > CAPACITY * 95 / 100);
    /* What has ended makes room, visited or not. */
    ban = numbered(i, 200, 300);
    assert_int_equal(l7s_bans_put(bans, &ban, at(200)), L7S_OK);
}

static void test_put_three_quarters_full_drops_nothing(void **state)
{
    const l7s_bans_t *bans = *state;
    for (uint64_t i = 0; i < CAPACITY * 3 / 4; i++) {
        l7s_ban_t ban = numbered(i, 0, 100);
        put(bans, &ban, 0);
    }
    assert_int_equal(bans->head->dropped, 0);
}

static void test_visit_frees_slot_of_a_killed_writer(void **state)
{
    const l7s_bans_t *bans = *state;
    l7s_ban_t ban = numbered(1, 0, 100);
    put(bans, &ban, 0);
    _Atomic uint64_t *words = (_Atomic uint64_t *)bans->slots;
    size_t odd = SIZE_MAX;
    for (size_t slot = 0; slot < CAPACITY; slot++) {
        if (words[slot * 48] != 0) { /* its sequence number: make it odd for good */
            odd = slot * 48;
            words[odd]++;
        }
    }
    assert_true(odd != SIZE_MAX);
    assert_false(l7s_bans_find(bans, ban.digest, at(1), NULL));
    l7s_bans_visit(bans, at(1), NULL, NULL);
    assert_true(words[odd] % 2 == 1);
    l7s_bans_visit(bans, at(2), NULL, NULL);
    assert_true(words[odd] % 2 == 0);
    assert_int_equal(bans->head->active, 0);
    put(bans, &ban, 3);
    assert_true(l7s_bans_find(bans, ban.digest, at(4), NULL));
}

#define THREADS 8
#define ROUNDS 4000

/* Writers of 64 keys: each ban that a reader sees must be of one piece. */
static void *put_and_find(void *argument)
{
    const l7s_bans_t *bans = argument;
    uint64_t seed = (uintptr_t)&seed;
    uint64_t torn = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t number = seeded_below(&seed, 64);
        l7s_ban_t ban = numbered(number, 0, 100 + seeded_below(&seed, 1000)), found;
        ban.since_ms = ban.until_ms;
        if (i % 16 == 0) {
            l7s_bans_lift(bans, ban.digest, 0, at(0));
        } else {
            (void)!l7s_bans_put(bans, &ban, at(0));
        }
        if (l7s_bans_find(bans, ban.digest, at(1), &found)) {
            torn += found.since_ms != found.until_ms;
            torn += strcmp(found.id, ban.id) != 0 || strcmp(found.incident, ban.id) != 0;
        }
    }
    return (void *)(uintptr_t)torn;
}

static void test_put_from_many_threads_is_never_torn_and_adds_up(void **state)
{
    const l7s_bans_t *bans = *state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, put_and_find, (void *)bans);
    }
    for (int i = 0; i < THREADS; i++) {
        void *torn;
        pthread_join(threads[i], &torn);
        assert_null(torn);
    }
    for (uint64_t number = 0; number < 64; number++) {
        l7s_ban_t ban = numbered(number, 0, 1);
        l7s_bans_lift(bans, ban.digest, 0, at(1));
        assert_false(l7s_bans_find(bans, ban.digest, at(1), NULL));
    }
    assert_int_equal(bans->head->active, 0);
    assert_int_equal(bans->head->other, 0);
    assert_int_equal(bans->head->dropped, 0);
}

typedef struct {
    const l7s_bans_t *bans;
    pthread_barrier_t *start;
    unsigned began;
} beginner_t;

static void *begin_each(void *argument)
{
    beginner_t *beginner = argument;
    for (uint64_t number = 0; number < 200; number++) {
        l7s_ban_t ban = numbered(number, 0, 100);
        bool began;
        pthread_barrier_wait(beginner->start);
        assert_int_equal(l7s_bans_begin(beginner->bans, &ban, at(0), &began), L7S_OK);
        beginner->began += began;
    }
    return NULL;
}

/* Each ban is begun by one thread at most, and hardly ever by none. */
static void test_begin_of_many_threads_is_told_once(void **state)
{
    pthread_t threads[4];
    pthread_barrier_t start;
    beginner_t beginners[4];
    unsigned began = 0;
    pthread_barrier_init(&start, NULL, 4);
    for (int i = 0; i < 4; i++) {
        beginners[i] = (beginner_t){*state, &start, 0};
        pthread_create(&threads[i], NULL, begin_each, &beginners[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        began += beginners[i].began;
    }
    pthread_barrier_destroy(&start);
    assert_in_range(began, 100, 200);
}

#define BANS(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BANS(test_put_client_is_banned_until_its_end),
        BANS(test_put_without_end_stays),
        BANS(test_put_networks_of_every_width_cover_what_is_inside),
        BANS(test_put_ipv6_client_covers_its_64),
        BANS(test_put_all_of_ipv6_does_not_cover_ipv4),
        BANS(test_put_later_end_wins),
        BANS(test_begin_tells_a_new_ban_from_a_longer_one),
        BANS(test_put_that_has_ended_already_is_not_recorded),
        BANS(test_lift_holds_new_bans_off),
        BANS(test_lift_without_hold_beats_older_bans_only),
        BANS(test_lift_of_unknown_ban_is_remembered),
        BANS(test_lift_with_hold_frees_one_client_of_a_banned_network),
        BANS(test_visit_gives_each_ban_in_force_and_frees_the_rest),
        BANS(test_visit_forgets_lifts_in_the_end),
        BANS(test_put_full_table_drops_and_counts),
        BANS(test_put_three_quarters_full_drops_nothing),
        BANS(test_visit_frees_slot_of_a_killed_writer),
        BANS(test_put_from_many_threads_is_never_torn_and_adds_up),
        BANS(test_begin_of_many_threads_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
