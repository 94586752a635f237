/* SPDX-License-Identifier: Apache-2.0
 *
 * Explanations against decisions: over random configurations a policy that is explained
 * as matching is one that a decision counted, and the key names the slot that it charged.
 */
#include "../../core/decide/explain.h"
#include "policy_fixture.h"
#include "policy_random.h"
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    fixture_t *fixture;
    const l7s_explain_t *explain;
    size_t policies, matching, lists, charged;
    char seen[600];
} seen_t;

static void note_policy(void *context, const l7s_explained_policy_t *policy)
{
    seen_t *seen = context;
    size_t size = strlen(seen->seen);

    seen->policies++;
    seen->matching += policy->matches;
    if (policy->matches) {
        snprintf(seen->seen + size, sizeof seen->seen - size, "%s %s %u;", policy->name,
                 policy->counts ? policy->key : "-", policy->limit_count);
    }
}

static void note_list(void *context, const l7s_explained_list_t *list)
{
    seen_t *seen = context;
    size_t size = strlen(seen->seen);

    seen->lists++;
    if (list->contains) {
        snprintf(seen->seen + size, sizeof seen->seen - size, "@%s%s;", list->name,
                 list->applies ? "" : " elsewhere");
    }
}

static seen_t explain(fixture_t *fixture, fixture_request_t *request, const char **app)
{
    seen_t seen = {.fixture = fixture};
    l7s_explain_t asked = {.policy = note_policy, .list = note_list, .context = &seen};

    request->facts.context = request;
    assert_int_equal(l7s_explain(fixture->image, &request->facts, &asked), L7S_OK);
    *app = asked.app;
    return seen;
}

static void test_explain_names_app_lists_keys_and_limits(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request("203.0.113.7", "GET", "shop.test", "/x");
    l7s_policy_t *policy;
    const char *app;
    seen_t seen;

    fixture_app(fixture, "shop", "shop.test", "");
    fixture_list(fixture, "near", L7S_EFFECT_DENY, "203.0.113.0/24")->apps =
        fixture_strings(fixture, "blog");
    fixture_list(fixture, "far", L7S_EFFECT_ALLOW, "10.0.0.0/8");
    fixture_policy(fixture, "all", L7S_ACTION_THROTTLE, 5, 60);
    policy = fixture_policy(fixture, "keys", L7S_ACTION_THROTTLE, 5, 60);
    fixture_by(fixture, policy, "header:x-api-key");
    policy = fixture_policy(fixture, "others", L7S_ACTION_DENY, 0, 0);
    policy->match.methods = fixture_strings(fixture, "POST");
    policy = fixture_policy(fixture, "skipping", L7S_ACTION_THROTTLE, 5, 60);
    fixture_by(fixture, policy, "header:x-none");
    policy->when_absent = L7S_ABSENT_SKIP;
    request.headers[0] = "x-api-key: s3cret";
    fixture_compile(fixture);
    seen = explain(fixture, &request, &app);
    assert_string_equal(app, "shop");
    assert_int_equal(seen.policies, 4);
    assert_int_equal(seen.matching, 3);
    assert_int_equal(seen.lists, 2);
    assert_non_null(strstr(seen.seen, "@near elsewhere;"));
    assert_null(strstr(seen.seen, "@far"));
    assert_non_null(strstr(seen.seen, "all {\"client\":\"203.0.113.7\"} 1;"));
    assert_non_null(strstr(seen.seen, "keys {\"header:x-api-key\":\"h:"));
    assert_non_null(strstr(seen.seen, "skipping - 1;"));
    assert_null(strstr(seen.seen, "s3cret"));
}

static void test_explain_meets_policies_by_user_last(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request("203.0.113.7", "GET", "shop.test", "/x");
    const char *app;

    fixture_by(fixture, fixture_policy(fixture, "users", L7S_ACTION_THROTTLE, 5, 60),
               "user");
    fixture_policy(fixture, "all", L7S_ACTION_THROTTLE, 5, 60);
    fixture_compile(fixture);
    request.facts.user = "alice";
    assert_string_equal(
        explain(fixture, &request, &app).seen,
        "all {\"client\":\"203.0.113.7\"} 1;users {\"user\":\"alice\"} 1;");
}

/* Is every policy that matches and counts one whose statistics grew, and is each of its
 * limits' slots there? (Only where nothing ended the evaluation.) */
static void compare_policy(void *context, const l7s_explained_policy_t *policy)
{
    seen_t *seen = context;
    uint64_t matched = atomic_load(&fixture_stats(seen->fixture, policy->name)->matched);

    if (seen->explain->app_mode == L7S_MODE_OFF) {
        assert_int_equal(matched, 0);
        return;
    }
    assert_int_equal(policy->matches && policy->counts, matched);
    for (uint32_t i = 0; matched > 0 && i < policy->limit_count; i++) {
        seen->charged++;
        assert_non_null(
            l7s_table_find(&seen->fixture->shared.table,
                           l7s_hash128_xor(policy->digest, policy->limits[i].identity)));
    }
}

static void test_explain_agrees_with_decisions(void **state)
{
    fixture_t *fixture = *state;
    size_t charged = 0;

    for (uint64_t round = 0; round < 600; round++) {
        uint64_t seed = round * 7919 + 1;
        fixture_request_t request;
        seen_t seen = {.fixture = fixture};
        l7s_explain_t asked = {
            .policy = compare_policy, .list = note_list, .context = &seen};
        fixture_reset(fixture);
        random_config(fixture, &seed, false);
        fixture_compile(fixture);
        random_request(fixture, &seed, &request);
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        fixture_decide_user(fixture, &request, &verdict);
        if (verdict.outcome != L7S_OUTCOME_ADMITTED ||
            request.facts.mode == L7S_MODE_OFF) {
            continue;
        }
        request.facts.context = &request;
        seen.explain = &asked;
        if (atomic_load(&fixture->shared.header->verdicts[L7S_OUTCOME_ADMITTED]) == 1) {
            assert_int_equal(l7s_explain(fixture->image, &request.facts, &asked), L7S_OK);
            charged += seen.charged;
        }
    }
    assert_true(charged > 100); /* else nothing was compared */
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_explain_names_app_lists_keys_and_limits),
        TEST(test_explain_meets_policies_by_user_last),
        TEST(test_explain_agrees_with_decisions),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
