/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is banned here after what the fleet said, in whatever order it was said, and what
 * the fleet has still to hear.
 */
#include "../../core/json/ban_json.h"
#include "../../core/key.h"
#include "../../mod_l7shield/sync/bans.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN
#define HOUR_MS UINT64_C(3600000)

typedef struct {
    void *memory;
    l7s_shared_t shared;
    sync_bans_t *bans;
    l7s_now_t now;
} bench_t;

/* ---- the publisher: no image, and one key or the other ---- */

static l7s_hashkey_t count_key;

const l7s_hashkey_t *sync_publisher_count_key(const sync_publisher_t *publisher)
{
    (void)publisher;
    return &count_key;
}

const l7s_image_t *sync_publisher_image(const sync_publisher_t *publisher)
{
    (void)publisher;
    return NULL;
}

/* ---- the bench ---- */

static int set_up(void **state)
{
    static const uint8_t random[48] = {7};
    bench_t *bench = calloc(1, sizeof *bench);

    count_key = (l7s_hashkey_t){1, 2};
    bench->memory = aligned_alloc(4096, SEGMENT_SIZE);
    memset(bench->memory, 0, SEGMENT_SIZE);
    assert_int_equal(l7s_segment_format(bench->memory, SEGMENT_SIZE, random), L7S_OK);
    assert_int_equal(l7s_segment_attach(bench->memory, SEGMENT_SIZE, &bench->shared),
                     L7S_OK);
    bench->now = (l7s_now_t){.mono_us = 1000000000, .wall_ms = 1700000000000};
    *state = bench;
    return sync_bans_create(&bench->shared, NULL, &bench->bans) != L7S_OK;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_bans_free(bench->bans);
    free(bench->memory);
    free(bench);
    return 0;
}

static void pass(bench_t *bench, uint64_t ms)
{
    bench->now.mono_us += ms * 1000;
    bench->now.wall_ms += ms;
}

/* A ban that begins now and lasts for an hour. */
static l7s_ban_t ban_of(const bench_t *bench, const char *id, const char *network)
{
    l7s_ban_t ban = {.is_address = network != NULL,
                     .since_ms = bench->now.wall_ms,
                     .until_ms = bench->now.wall_ms + HOUR_MS,
                     .status = 403,
                     .origin = L7S_ORIGIN_NODE,
                     .digest = {strlen(id), 99}};

    snprintf(ban.id, sizeof ban.id, "%s", id);
    snprintf(ban.policy, sizeof ban.policy, "login");
    if (network != NULL) {
        assert_int_equal(l7s_cidr_parse(network, &ban.network), L7S_OK);
        ban.digest = l7s_key_digest_cidr(
            &count_key, ban.network.prefix == 128 ? L7S_PART_CLIENT : L7S_PART_NETWORK,
            &ban.network);
    }
    return ban;
}

static l7s_ban_t client_ban(const bench_t *bench, unsigned number)
{
    char id[L7S_BAN_ID_MAX], network[32];

    snprintf(network, sizeof network, "192.0.2.%u", number);
    snprintf(id, sizeof id, "ip:%s", network);
    return ban_of(bench, id, network);
}

static bool in_force(const bench_t *bench, const l7s_ban_t *ban)
{
    return l7s_bans_find(&bench->shared.bans, ban->digest, bench->now, NULL);
}

static void hear(bench_t *bench, const l7s_ban_t *ban, bool by_daemon, uint64_t log_index)
{
    json_t *entry = l7s_ban_to_json(ban);

    sync_bans_entry(bench->bans, entry, by_daemon, log_index, bench->now);
    json_decref(entry);
}

static void hear_lift(bench_t *bench, const l7s_ban_t *ban, bool by_daemon,
                      uint64_t hold_ms)
{
    l7s_ban_t tombstone = *ban;

    tombstone.since_ms = bench->now.wall_ms;
    json_t *entry =
        l7s_ban_lift_to_json(&tombstone, hold_ms == 0 ? 0 : bench->now.wall_ms + hold_ms);
    sync_bans_entry(bench->bans, entry, by_daemon, 0, bench->now);
    json_decref(entry);
}

/* What a worker does. */
static void ban_here(bench_t *bench, const l7s_ban_t *ban)
{
    assert_int_equal(l7s_bans_put(&bench->shared.bans, ban, bench->now), L7S_OK);
}

static size_t unpublished(bench_t *bench)
{
    l7s_ban_t out[8];

    return sync_bans_unpublished(bench->bans, out, 8, bench->now);
}

/* ---- entries ---- */

static void test_bans_of_the_fleet_hold_here_and_are_not_told_again(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 1);

    hear(bench, &ban, false, 1);
    assert_true(in_force(bench, &ban));
    assert_int_equal(unpublished(bench), 0);
    pass(bench, HOUR_MS);
    assert_false(in_force(bench, &ban));
}

static void test_bans_of_a_node_that_are_too_much_are_refused(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t half = ban_of(bench, "net:128.0.0.0_1", "128.0.0.0/1");
    l7s_ban_t ban = client_ban(bench, 1);

    hear(bench, &half, false, 1);
    assert_false(in_force(bench, &half));
    hear(bench, &half, true, 2);
    assert_true(in_force(bench, &half));
    hear(bench, &ban, true, 3);
    pass(bench, 1000);
    hear_lift(bench, &ban, false, 0); /* only the daemon lifts */
    assert_true(in_force(bench, &ban));
}

static void test_bans_older_than_their_lift_do_not_come_back(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t old = client_ban(bench, 1);

    hear(bench, &old, false, 1);
    pass(bench, 1000);
    hear_lift(bench, &old, true, 0);
    assert_false(in_force(bench, &old));
    hear(bench, &old, false, 2); /* by a detour */
    assert_false(in_force(bench, &old));
    pass(bench, 1000);
    l7s_ban_t newer = client_ban(bench, 1);
    hear(bench, &newer, false, 3);
    assert_true(in_force(bench, &newer));
}

static void test_bans_lift_that_comes_before_its_ban_wins(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 1);

    pass(bench, 1000);
    hear_lift(bench, &ban, true, 60000);
    hear(bench, &ban, false, 1);
    assert_false(in_force(bench, &ban));
    l7s_ban_t held = client_ban(bench, 1);
    held.since_ms++;
    assert_int_equal(l7s_bans_put(&bench->shared.bans, &held, bench->now), L7S_CONFLICT);
}

static void test_bans_lift_without_a_hold_is_remembered_all_the_same(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 1);

    pass(bench, 1000);
    hear_lift(bench, &ban, true, 0);
    hear(bench, &ban, false, 1);
    assert_false(in_force(bench, &ban));
    pass(bench, 1);
    l7s_ban_t newer = client_ban(bench, 1);
    hear(bench, &newer, false, 2);
    assert_true(in_force(bench, &newer));
}

static void test_bans_again_since_survive_a_late_lift(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t old = client_ban(bench, 1);

    pass(bench, 5000);
    l7s_ban_t newer = client_ban(bench, 1);
    hear(bench, &newer, false, 1);
    bench->now.wall_ms -= 2000; /* the lift was made between them */
    hear_lift(bench, &old, true, 0);
    bench->now.wall_ms += 2000;
    assert_true(in_force(bench, &newer));
}

static void test_bans_that_are_none_are_refused(void **state)
{
    static const char *const cases[] = {"{}", "[]", "{\"op\":\"put\",\"id\":\"ip:x\"}"};
    bench_t *bench = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *entry = json_loads(cases[i], 0, NULL);
        sync_bans_entry(bench->bans, entry, true, 1, bench->now);
        json_decref(entry);
    }
    assert_false(l7s_bans_any(&bench->shared.bans));
}

/* ---- what the fleet has to hear ---- */

static void test_bans_made_here_are_told_until_they_are_known(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 1);

    assert_int_equal(unpublished(bench), 0);
    ban_here(bench, &ban);
    assert_int_equal(unpublished(bench), 1);
    assert_int_equal(unpublished(bench), 1); /* nobody said that it has been told */
    sync_bans_published(bench->bans, &ban, 7);
    assert_int_equal(unpublished(bench), 0);
    pass(bench, 1000);
    ban.until_ms += HOUR_MS; /* once more, for longer */
    ban_here(bench, &ban);
    assert_int_equal(unpublished(bench), 1);
    sync_bans_published(bench->bans, &ban, 8);
    assert_int_equal(unpublished(bench), 0);
    sync_bans_turn(bench->bans); /* another bus knows nothing */
    assert_int_equal(unpublished(bench), 1);
}

static void test_bans_beyond_what_fits_are_told_later(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t out[2];
    size_t told = 0, count;

    for (unsigned i = 1; i <= 5; i++) {
        l7s_ban_t ban = client_ban(bench, i);
        ban_here(bench, &ban);
    }
    for (unsigned round = 0; round < 4; round++) {
        count = sync_bans_unpublished(bench->bans, out, 2, bench->now);
        for (size_t i = 0; i < count; i++) {
            sync_bans_published(bench->bans, &out[i], ++told);
        }
    }
    assert_int_equal(told, 5);
}

/* ---- convergence ---- */

/* The whole set: these clients. */
static void hear_set(bench_t *bench, uint64_t ban_log, const unsigned *clients,
                     size_t count)
{
    json_t *bans = json_array();

    for (size_t i = 0; i < count; i++) {
        l7s_ban_t ban = client_ban(bench, clients[i]);
        json_array_append_new(bans, l7s_ban_to_json(&ban));
    }
    json_t *document = json_pack("{s:o}", "bans", bans);
    sync_bans_set(bench->bans, document, ban_log, bench->now);
    json_decref(document);
}

static void test_bans_converge_lifts_what_the_fleet_has_forgotten(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t named = client_ban(bench, 1), forgotten = client_ban(bench, 2),
              behind = client_ban(bench, 3), own = client_ban(bench, 4),
              told = client_ban(bench, 5), told_behind = client_ban(bench, 6);

    hear(bench, &named, false, 1);
    hear(bench, &forgotten, false, 2);
    hear(bench, &behind, false, 12); /* in the log behind the set */
    ban_here(bench, &own);
    ban_here(bench, &told);
    sync_bans_published(bench->bans, &told, 3);
    ban_here(bench, &told_behind);
    sync_bans_published(bench->bans, &told_behind, 11);
    hear_set(bench, 10, (unsigned[]){1}, 1);
    assert_true(in_force(bench, &forgotten)); /* the log may name it yet */
    sync_bans_converge(bench->bans, bench->now);
    assert_true(in_force(bench, &named));
    assert_false(in_force(bench, &forgotten));
    assert_true(in_force(bench, &behind));
    assert_true(in_force(bench, &own));
    assert_false(in_force(bench, &told));
    assert_true(in_force(bench, &told_behind));
}

static void test_bans_converge_once_for_each_set(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 2);

    hear_set(bench, 10, (unsigned[]){1}, 1);
    sync_bans_converge(bench->bans, bench->now);
    pass(bench, 1000);
    ban = client_ban(bench, 2);
    hear(bench, &ban, false, 0); /* of an older log than the set's */
    sync_bans_converge(bench->bans, bench->now);
    assert_true(in_force(bench, &ban));
    hear_set(bench, 20, (unsigned[]){1}, 1);
    sync_bans_converge(bench->bans, bench->now);
    assert_false(in_force(bench, &ban));
}

static void test_bans_turn_leaves_them_until_the_new_bus_has_a_set(void **state)
{
    bench_t *bench = *state;
    l7s_ban_t ban = client_ban(bench, 2);

    hear_set(bench, 10, (unsigned[]){2}, 1);
    sync_bans_turn(bench->bans);
    sync_bans_converge(bench->bans, bench->now);
    assert_true(in_force(bench, &ban));
}

/* ---- another key ---- */

static void test_bans_of_addresses_move_to_the_new_key(void **state)
{
    bench_t *bench = *state;
    const l7s_hashkey_t fresh = {3, 4};
    l7s_ban_t client = client_ban(bench, 1),
              network = ban_of(bench, "net:198.51.100.0_24", "198.51.100.0/24"),
              header = ban_of(bench, "header:h-1", NULL);

    ban_here(bench, &client);
    ban_here(bench, &network);
    ban_here(bench, &header);
    sync_bans_published(bench->bans, &client, 1);
    sync_bans_prepare(bench->bans, &fresh, bench->now);
    assert_true(in_force(bench, &client)); /* for workers that still count as before */
    assert_true(l7s_bans_find_address(&bench->shared.bans, &fresh, &client.network.base,
                                      bench->now, NULL));
    count_key = fresh;
    sync_bans_tick(bench->bans, bench->now);
    assert_false(in_force(bench, &client));
    assert_true(l7s_bans_find_address(&bench->shared.bans, &fresh, &client.network.base,
                                      bench->now, NULL));
    l7s_addr_t neighbour;
    assert_true(l7s_addr_parse("198.51.100.9", &neighbour));
    assert_true(
        l7s_bans_find_address(&bench->shared.bans, &fresh, &neighbour, bench->now, NULL));
    /* The fleet has been told of the client, under whatever name; of the others not. */
    assert_int_equal(unpublished(bench), 2);
}

/* ---- the file ---- */

static void count_one(void *context, const sync_ban_state_t *state)
{
    size_t *counts = context;

    counts[state->published]++;
}

static void test_bans_restored_are_known_to_be_told(void **state)
{
    bench_t *bench = *state;
    sync_ban_state_t told = {
        .ban = client_ban(bench, 1), .published = true, .log_index = 4};
    sync_ban_state_t own = {.ban = client_ban(bench, 2)};
    sync_ban_state_t over = {.ban = client_ban(bench, 3)};
    size_t counts[2] = {0, 0};

    over.ban.until_ms = bench->now.wall_ms;
    told.ban.digest = own.ban.digest = (l7s_hash128_t){8, 9}; /* of another boot's key */
    sync_bans_restore(bench->bans, &told, true, bench->now);
    sync_bans_restore(bench->bans, &own, true, bench->now);
    sync_bans_restore(bench->bans, &over, true, bench->now);
    sync_bans_each(bench->bans, bench->now, count_one, counts);
    assert_int_equal(counts[true], 1);
    assert_int_equal(counts[false], 1);
    assert_int_equal(unpublished(bench), 1);
    assert_true(l7s_bans_find_address(&bench->shared.bans, &count_key,
                                      &told.ban.network.base, bench->now, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bans_of_the_fleet_hold_here_and_are_not_told_again),
        TEST(test_bans_of_a_node_that_are_too_much_are_refused),
        TEST(test_bans_older_than_their_lift_do_not_come_back),
        TEST(test_bans_lift_that_comes_before_its_ban_wins),
        TEST(test_bans_lift_without_a_hold_is_remembered_all_the_same),
        TEST(test_bans_again_since_survive_a_late_lift),
        TEST(test_bans_that_are_none_are_refused),
        TEST(test_bans_made_here_are_told_until_they_are_known),
        TEST(test_bans_beyond_what_fits_are_told_later),
        TEST(test_bans_converge_lifts_what_the_fleet_has_forgotten),
        TEST(test_bans_converge_once_for_each_set),
        TEST(test_bans_turn_leaves_them_until_the_new_bus_has_a_set),
        TEST(test_bans_of_addresses_move_to_the_new_key),
        TEST(test_bans_restored_are_known_to_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
