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
    assert_int_equal(atomic_load(&found->units), episode->units);
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
    assert_int_equal(used_slots(fixture),
                     reference->counter_count + reference->step_count);
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

/* Requests that are being served. */
#define OPEN 6
typedef struct {
    bool is_used;
    fixture_request_t request;
    l7s_verdict_t verdict;
    reference_open_t expected;
} open_t;

typedef struct {
    fixture_t *fixture;
    reference_t reference;
    uint64_t *seed;
    l7s_memo_t memo; /* of a connection that half of the requests share */
    open_t open[OPEN];
} config_t;

static void pass(config_t *config, uint64_t most_ms)
{
    fixture_pass_ms(config->fixture, seeded_below(config->seed, most_ms));
}

static void begin(config_t *config, open_t *open)
{
    fixture_t *fixture = config->fixture;
    reference_t *reference = &config->reference;
    l7s_request_t *facts = &open->request.facts;

    random_request(fixture, config->seed, &open->request);
    facts->memo = seeded_below(config->seed, 2) == 0 ? &config->memo : NULL;
    facts->generation = 1;
    facts->owner = seeded_below(config->seed, 10) > 0 ? 7 : 0;
    open->verdict = fixture_decide(fixture, &open->request);
    bool asks = reference_decide(reference, facts, fixture->now, &open->expected);
    if (seeded_below(config->seed, 3) == 0) {
        pass(config, 900); /* … until it is known whose request it is */
    }
    if (asks) {
        reference_decide_user(reference, facts, fixture->now, &open->expected);
    }
    fixture_decide_user(fixture, &open->request, &open->verdict);
    same_verdict(&open->verdict, &open->expected.verdict);
    open->is_used = !l7s_outcome_refuses(open->verdict.outcome);
}

static void finish(config_t *config, open_t *open)
{
    fixture_t *fixture = config->fixture;
    l7s_answer_t answer = random_answer(config->seed);

    if (!open->is_used) {
        return;
    }
    if (open->verdict.awaits != 0) {
        fixture_answer(fixture, &open->request, answer, &open->verdict);
    }
    reference_answer(&config->reference, &open->request.facts, &answer, fixture->now,
                     &open->expected);
    same_verdict(&open->verdict, &open->expected.verdict);
    l7s_decide_over(&fixture->shared, &open->verdict.held);
    reference_over(&config->reference, &open->expected);
    open->is_used = false;
}

static void run_config(fixture_t *fixture, uint64_t *seed, digest_t *digests,
                       uint64_t outcomes[L7S_OUTCOMES])
{
    static config_t config;
    reference_t *reference = &config.reference;
    size_t count = 0;

    memset(&config, 0, sizeof config);
    config.fixture = fixture;
    config.seed = seed;
    fixture_reset(fixture);
    fixture->shared.episodes.running = NULL; /* campaigns have tests of their own */
    fixture->count_key = (l7s_hashkey_t){seeded_next(seed), seeded_next(seed)};
    random_config(fixture, seed, seeded_below(seed, 2) == 0);
    fixture_compile(fixture);
    reference_begin(reference, fixture);
    reference->node_mode =
        seeded_below(seed, 20) == 0 ? L7S_MODE_OBSERVE : L7S_MODE_ENFORCE;
    atomic_store(&fixture->shared.header->mode, reference->node_mode);
    for (unsigned i = 0; i < REQUESTS; i++) {
        open_t *open = &config.open[seeded_below(seed, OPEN)];
        if (seeded_below(seed, 40) == 0) {
            ban_by_hand(fixture, reference, seed);
        }
        finish(&config, open);
        begin(&config, open);
        note_digests(fixture, reference, &open->request.facts, digests, &count);
        outcomes[open->verdict.outcome]++;
        pass(&config, seeded_below(seed, 4) == 0 ? 6000 : 300);
        finish(&config, &config.open[seeded_below(seed, OPEN)]);
    }
    for (unsigned i = 0; i < OPEN; i++) {
        finish(&config, &config.open[i]);
    }
    same_memory(fixture, reference, digests, count);
    reference_end(reference);
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
        if (configs == CONFIGS) {
            assert_true(outcomes[i] > 60); /* each kind was really tested */
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
