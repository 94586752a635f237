/* SPDX-License-Identifier: Apache-2.0
 *
 * The image against a naive reference: 100,000 random pairs of a set of policies and a
 * request, compared verdict by verdict and, at the end of each configuration, counter by
 * counter. The seed is fixed and printed; L7S_SEED in the environment sets another one,
 * L7S_ROUNDS another number of configurations.
 */
#include "../../core/segment/ban_id.h"
#include "policy_fixture.h"
#include "policy_random.h"
#include "policy_reference.h"
#include "seeded.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONFIGS 1250
#define REQUESTS 80
#define BUCKETS 2048

/* A tuple as text and the digest that the image must have used for it. */
typedef struct {
    char tuple[REFERENCE_KEY];
    l7s_hash128_t digest;
} digest_t;

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t current_seed; /* of this configuration: said when it fails */

static void same_verdict(const l7s_verdict_t *verdict,
                         const reference_verdict_t *expected)
{
    if (verdict->outcome != expected->outcome ||
        (expected->outcome != L7S_OUTCOME_ADMITTED &&
         (strcmp(verdict->policy, expected->policy) != 0 ||
          verdict->retry_after_seconds != expected->retry_after_seconds))) {
        print_message("L7S_SEED=%" PRIu64 ": the image says %u by %s (%u s), the "
                      "reference %u by %s (%u s)\n",
                      current_seed, verdict->outcome, verdict->policy,
                      verdict->retry_after_seconds, expected->outcome, expected->policy,
                      expected->retry_after_seconds);
    }
    assert_int_equal(verdict->outcome, expected->outcome);
    if (expected->outcome != L7S_OUTCOME_ADMITTED) {
        assert_string_equal(verdict->policy, expected->policy);
        assert_int_equal(verdict->status, expected->status);
        assert_int_equal(verdict->retry_after_seconds, expected->retry_after_seconds);
    }
}

static void ban_by_hand(fixture_t *fixture, reference_t *reference, uint64_t *seed)
{
    l7s_addr_t addr = fixture_addr(random_client(seed));
    l7s_ban_t ban = {
        .network = l7s_addr_client(&addr), .is_address = true, .status = 403};
    char text[L7S_CIDR_TEXT], key[80];

    ban.digest = l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &ban.network);
    ban.since_ms = fixture->now.wall_ms;
    ban.until_ms = fixture->now.wall_ms + 1 + seeded_below(seed, 5000);
    l7s_ban_id(&ban.network, ban.id);
    l7s_cidr_text(&ban.network, text);
    snprintf(key, sizeof key, "client=%s;", text);
    for (size_t i = 0; i < reference->ban_count; i++) {
        if (strcmp(reference->bans[i].key, key) == 0 &&
            reference->bans[i].until_ms > fixture->now.wall_ms) {
            return; /* one at a time: the later end wins, which test_bans shows */
        }
    }
    assert_int_equal(l7s_bans_put(&fixture->shared.bans, &ban, fixture->now), L7S_OK);
    reference_ban(reference, key, ban.until_ms);
}

/* --- at the end of a configuration --- */

static void same_counter(const fixture_t *fixture, const reference_counter_t *counter,
                         l7s_hash128_t digest)
{
    const l7s_policy_t *policy = &fixture->config.policies[counter->policy];
    l7s_hash128_t key = l7s_hash128_xor(
        digest, l7s_limit_identity(&fixture->count_key, policy->name, policy->spec,
                                   (unsigned)counter->rate));
    l7s_slot_t *slot = l7s_table_find(&fixture->shared.table, key);

    assert_non_null(slot);
    assert_true(atomic_load(&slot->tat) == (uint64_t)counter->tat);
    assert_int_equal(atomic_load(&slot->pending), counter->pending);
    assert_non_null(l7s_image_limit(fixture->image, atomic_load(&slot->limit)));
}

static void same_episode(const fixture_t *fixture, const reference_episode_t *episode,
                         l7s_hash128_t digest)
{
    const l7s_policy_t *policy = &fixture->config.policies[episode->policy];
    l7s_hash128_t key = l7s_hash128_xor(
        digest, l7s_limit_identity(&fixture->count_key, policy->name, policy->spec, 0));
    l7s_episode_t *found = l7s_episode_find(&fixture->shared.episodes, key);

    assert_non_null(found);
    assert_string_equal(found->facts.policy, policy->name);
    assert_int_equal(atomic_load(&found->requests), episode->requests);
    assert_int_equal(atomic_load(&found->acted), episode->acted);
    assert_int_equal(atomic_load(&found->passed), episode->passed);
}

static size_t used_slots(const fixture_t *fixture)
{
    size_t used = 0;

    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        used += atomic_load(&fixture->shared.table.slots[i].key_lo) != 0;
    }
    return used;
}

static size_t used_episodes(const fixture_t *fixture)
{
    size_t used = 0;

    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        used += atomic_load(&fixture->shared.episodes.entries[i].key_lo) != 0;
    }
    return used;
}

static void same_stats(fixture_t *fixture, const reference_t *reference)
{
    for (size_t i = 0; i < fixture->config.policy_count; i++) {
        const l7s_stats_row_t *row =
            fixture_stats(fixture, fixture->config.policies[i].name);
        assert_int_equal(atomic_load(&row->matched), reference->stats[i].matched);
        assert_int_equal(atomic_load(&row->acted), reference->stats[i].acted);
        assert_int_equal(atomic_load(&row->would_act), reference->stats[i].would_act);
        assert_int_equal(atomic_load(&row->logged), reference->stats[i].logged);
    }
    for (unsigned i = 0; i < L7S_OUTCOMES; i++) {
        assert_int_equal(atomic_load(&fixture->shared.header->verdicts[i]),
                         reference->verdicts[i]);
    }
}

static l7s_hash128_t digest_named(const digest_t *digests, size_t count,
                                  const char *tuple)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(digests[i].tuple, tuple) == 0) {
            return digests[i].digest;
        }
    }
    fail_msg("no request had the tuple %s", tuple);
    return (l7s_hash128_t){0, 0};
}

static void same_memory(fixture_t *fixture, const reference_t *reference,
                        const digest_t *digests, size_t count)
{
    for (size_t i = 0; i < reference->counter_count; i++) {
        const reference_counter_t *counter = &reference->counters[i];
        same_counter(fixture, counter, digest_named(digests, count, counter->tuple));
    }
    for (size_t i = 0; i < reference->episode_count; i++) {
        const reference_episode_t *episode = &reference->episodes[i];
        same_episode(fixture, episode, digest_named(digests, count, episode->tuple));
    }
    /* And nobody else was charged or blamed. */
    assert_int_equal(used_slots(fixture), reference->counter_count);
    assert_int_equal(used_episodes(fixture), reference->episode_count);
    assert_int_equal(atomic_load(&fixture->shared.table.stats->overflowed), 0);
    assert_int_equal(atomic_load(&fixture->shared.table.stats->evicted_live), 0);
    assert_int_equal(atomic_load(&fixture->shared.header->episodes_dropped), 0);
    assert_int_equal(atomic_load(&fixture->shared.bans.head->dropped), 0);
    same_stats(fixture, reference);
}

/* --- one configuration --- */

#define DIGESTS_MAX (REQUESTS * 160)

static void note_digests(const fixture_t *fixture, const reference_t *reference,
                         const l7s_request_t *request, digest_t *digests, size_t *count)
{
    for (size_t i = 0; i < fixture->config.policy_count; i++) {
        digest_t *next = &digests[*count];
        next->digest = reference_digest(reference, &fixture->config.policies[i], request,
                                        next->tuple);
        bool known = false;
        for (size_t k = 0; k < *count && !known; k++) {
            known = strcmp(digests[k].tuple, next->tuple) == 0;
        }
        *count += !known;
    }
}

static void run_config(fixture_t *fixture, uint64_t *seed, digest_t *digests,
                       uint64_t outcomes[L7S_OUTCOMES])
{
    l7s_memo_t memo = {0}; /* of a connection that half of the requests share */
    reference_t reference;
    size_t count = 0;

    fixture_reset(fixture);
    fixture->shared.episodes.running = NULL; /* campaigns have tests of their own */
    fixture->count_key = (l7s_hashkey_t){seeded_next(seed), seeded_next(seed)};
    random_config(fixture, seed);
    fixture_compile(fixture);
    reference_begin(&reference, fixture);
    reference.node_mode =
        seeded_below(seed, 20) == 0 ? L7S_MODE_OBSERVE : L7S_MODE_ENFORCE;
    atomic_store(&fixture->shared.header->mode, reference.node_mode);
    for (unsigned i = 0; i < REQUESTS; i++) {
        fixture_request_t request;
        reference_verdict_t expected;
        l7s_verdict_t verdict;
        if (seeded_below(seed, 40) == 0) {
            ban_by_hand(fixture, &reference, seed);
        }
        random_request(fixture, seed, &request);
        request.facts.memo = seeded_below(seed, 2) == 0 ? &memo : NULL;
        request.facts.generation = 1;
        verdict = fixture_decide(fixture, &request);
        if (reference_decide(&reference, &request.facts, fixture->now, &expected)) {
            reference_decide_user(&reference, &request.facts, fixture->now, &expected);
        }
        fixture_decide_user(fixture, &request, &verdict);
        same_verdict(&verdict, &expected);
        note_digests(fixture, &reference, &request.facts, digests, &count);
        outcomes[verdict.outcome]++;
        fixture_pass_ms(fixture, seeded_below(seed, 4) == 0 ? seeded_below(seed, 6000)
                                                            : seeded_below(seed, 300));
    }
    same_memory(fixture, &reference, digests, count);
    reference_end(&reference);
}

static void test_decide_random_policies_like_reference(void **state)
{
    uint64_t first = from_environment("L7S_SEED", 20240607);
    uint64_t configs = from_environment("L7S_ROUNDS", CONFIGS);
    uint64_t outcomes[L7S_OUTCOMES] = {0};
    digest_t *digests = calloc(DIGESTS_MAX, sizeof *digests);
    fixture_t fixture;

    (void)state;
    assert_non_null(digests);
    fixture_open(&fixture, BUCKETS);
    fixture.shared.geo = fixture_geo(GEO_DATABASES);
    void *running = fixture.shared.episodes.running;
    printf("L7S_SEED=%" PRIu64 "\n", first);
    for (uint64_t i = 0; i < configs; i++) {
        uint64_t seed = first + i; /* so that a failure can be run alone */
        current_seed = seed;
        run_config(&fixture, &seed, digests, outcomes);
    }
    print_message("outcomes:");
    for (unsigned i = 0; i < L7S_OUTCOMES; i++) {
        print_message(" %" PRIu64, outcomes[i]);
        /* Challenges depend on tokens of the moment: test_examine.c. */
        if (configs == CONFIGS && i != L7S_OUTCOME_CHALLENGED) {
            assert_true(outcomes[i] > 100); /* each kind was really tested */
        }
    }
    print_message("\n");
    fixture.shared.episodes.running = running;
    l7s_geo_free((l7s_geo_t *)fixture.shared.geo);
    fixture_close(&fixture);
    free(digests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_random_policies_like_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
