/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans: which limits a request is held to by what a list knows of its key.
 */
#include "../../core/image/image_layout.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"
#define PER_MINUTE(requests) ((l7s_rate_t){requests, requests, 60000000})

/* k-gold has plan gold, k-silver silver, k-odd a plan that no policy knows, k-plain none;
 * 2 requests a minute by default, gold has 5, silver 3. */
static l7s_policy_t *limit_by_plan(fixture_t *fixture)
{
    l7s_list_t *keys =
        fixture_strings_list(fixture, "api-keys", "k-gold k-silver k-odd k-plain");
    l7s_policy_t *policy = fixture_policy(fixture, "api", L7S_ACTION_THROTTLE, 2, 60);

    fixture_attribute(fixture, keys, 0, "owner", "silver");
    fixture_attribute(fixture, keys, 0, "plan", "gold");
    fixture_attribute(fixture, keys, 1, "plan", "silver");
    fixture_attribute(fixture, keys, 2, "plan", "lead");
    fixture_by(fixture, policy, "header:x-api-key");
    fixture_plan(fixture, policy, "api-keys", "plan", "gold", PER_MINUTE(5));
    fixture_plan(fixture, policy, "api-keys", "plan", "silver", PER_MINUTE(3));
    return policy;
}

static l7s_verdict_t decide(fixture_t *fixture, const char *key)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "h", "/");
    char header[64];

    snprintf(header, sizeof header, "x-api-key: %s", key != NULL ? key : "");
    request.headers[0] = key != NULL ? header : NULL;
    return fixture_decide(fixture, &request);
}

static unsigned admitted(fixture_t *fixture, const char *key)
{
    unsigned count = 0;

    while (count < 100 && decide(fixture, key).outcome == L7S_OUTCOME_ADMITTED) {
        count++;
    }
    return count;
}

static void test_plan_attribute_of_the_key_names_the_limit(void **state)
{
    fixture_t *fixture = *state;

    limit_by_plan(fixture);
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-gold"), 5);
    assert_int_equal(admitted(fixture, "k-silver"), 3);
    assert_int_equal(admitted(fixture, "k-odd"), 2);
    assert_int_equal(admitted(fixture, "k-plain"), 2);
    assert_int_equal(admitted(fixture, "k-unknown"), 2);
    assert_int_equal(admitted(fixture, NULL), 2);
    assert_int_equal(admitted(fixture, "k-gold"), 0);
}

static void test_plan_several_rates_must_all_conform(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = limit_by_plan(fixture);
    l7s_plan_t *gold = &policy->plans[0];

    gold->rates[gold->rate_count++] = (l7s_rate_t){1, 4, 1000000000};
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-gold"), 4);
    assert_true(decide(fixture, "k-gold").retry_after_seconds > 900);
}

static void test_plan_changed_begins_the_counters_of_the_new_one(void **state)
{
    fixture_t *fixture = *state;
    l7s_list_t *keys;

    limit_by_plan(fixture);
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-silver"), 3);
    keys = &fixture->config.lists[0];
    keys->entries[1].attributes[0].value = fixture_text(fixture, "gold");
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-silver"), 5);
    keys->entries[1].attributes[0].value = fixture_text(fixture, "silver");
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-silver"), 0); /* and the old ones are kept */
}

static void test_plan_episode_tells_the_limit_of_the_plan_and_who_passed(void **state)
{
    fixture_t *fixture = *state;
    l7s_episode_t *episode;

    limit_by_plan(fixture);
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-gold"), 5);
    episode = fixture_episode(fixture, "api");
    assert_non_null(episode);
    assert_int_equal(episode->facts.limit, 5);
    assert_int_equal(episode->facts.per_seconds, 60);
    fixture_pass_ms(fixture, 12000); /* one token */
    assert_int_equal(decide(fixture, "k-gold").outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&episode->passed), 1);
}

static void test_plan_compiles_only_what_policies_ask_for(void **state)
{
    fixture_t *fixture = *state;

    limit_by_plan(fixture);
    fixture_compile(fixture);
    assert_int_equal(l7s_image_string(fixture->image, 0, "k-gold")->grants.count, 1);
    assert_int_equal(l7s_image_string(fixture->image, 0, "k-odd")->grants.count, 0);
    assert_int_equal(fixture->image->sections[L7S_SECTION_PLANS].count, 2);
    assert_int_equal(fixture->image->sections[L7S_SECTION_LIMITS].count, 3);
}

static void test_plan_same_attribute_serves_several_policies(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *other;

    limit_by_plan(fixture);
    other = fixture_policy(fixture, "hourly", L7S_ACTION_THROTTLE, 100, 3600);
    fixture_by(fixture, other, "header:x-api-key");
    fixture_plan(fixture, other, "api-keys", "plan", "gold", PER_MINUTE(4));
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture, "k-gold"), 4);
    assert_string_equal(decide(fixture, "k-gold").policy, "hourly");
    assert_int_equal(admitted(fixture, "k-silver"), 3);
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plan_attribute_of_the_key_names_the_limit),
        TEST(test_plan_several_rates_must_all_conform),
        TEST(test_plan_changed_begins_the_counters_of_the_new_one),
        TEST(test_plan_episode_tells_the_limit_of_the_plan_and_who_passed),
        TEST(test_plan_compiles_only_what_policies_ask_for),
        TEST(test_plan_same_attribute_serves_several_policies),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
