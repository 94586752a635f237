/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides: what is read, when they run, and what an image makes of them.
 */
#include "../../core/image/image_layout.h"
#include "../../core/json/override.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static l7s_outcome_t outcome(fixture_t *fixture)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/");

    return fixture_decide(fixture, &request).outcome;
}

/* How many of ten requests at once are admitted. */
static unsigned admitted(fixture_t *fixture)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 10; i++) {
        count += outcome(fixture) == L7S_OUTCOME_ADMITTED;
    }
    return count;
}

static void test_override_mode_acts_between_its_ends(void **state)
{
    fixture_t *fixture = *state;
    uint64_t now_ms = fixture->now.wall_ms;
    l7s_policy_t *policy = fixture_policy(fixture, "gate", L7S_ACTION_DENY, 0, 0);

    policy->mode = L7S_MODE_OFF;
    policy->override = (l7s_override_t){.has_mode = true,
                                        .mode = L7S_MODE_ENFORCE,
                                        .limit_percent = 100,
                                        .starts_ms = now_ms + 1000,
                                        .until_ms = now_ms + 3000};
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture->next_expiry_ms, now_ms + 1000);
    fixture_pass_ms(fixture, 1000);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture), L7S_OUTCOME_DENIED);
    assert_int_equal(fixture->next_expiry_ms, now_ms + 3000);
    fixture_pass_ms(fixture, 2000);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture->next_expiry_ms, 0);
}

static void test_override_mode_alone_keeps_the_counters(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 4, 600);

    policy->mode = L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture), 4);
    policy->override = (l7s_override_t){.has_mode = true,
                                        .mode = L7S_MODE_ENFORCE,
                                        .limit_percent = 100,
                                        .until_ms = fixture->now.wall_ms + 3000};
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture), 0);
}

static void test_override_limit_percent_scales_and_counts_anew(void **state)
{
    static const struct {
        uint32_t percent;
        unsigned admitted;
    } cases[] = {{50, 2}, {1, 1}, {200, 8}};
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 4, 600);

    fixture_compile(fixture);
    assert_int_equal(admitted(fixture), 4);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        policy->override = (l7s_override_t){.limit_percent = cases[i].percent,
                                            .until_ms = fixture->now.wall_ms + 3000};
        fixture_compile(fixture);
        assert_int_equal(admitted(fixture), cases[i].admitted);
    }
    policy->override = (l7s_override_t){.until_ms = 0};
    fixture_compile(fixture);
    assert_int_equal(admitted(fixture), 0); /* as before it */
}

static void test_override_scaled_beyond_what_can_be_counted_is_halved(void **state)
{
    l7s_policy_t policy = {.rate_count = 1,
                           .rates = {{2000000000, 2000000000, 1000000000}},
                           .override = {.limit_percent = 1000, .until_ms = 1}};
    l7s_policy_t copy;

    (void)state;
    assert_true(l7s_rate_valid(&policy.rates[0]));
    assert_int_equal(l7s_override_apply(&policy, &copy), L7S_OK);
    assert_true(l7s_rate_valid(&copy.rates[0]));
    assert_true(copy.rates[0].requests >= policy.rates[0].requests / 2);
    l7s_override_end(&copy);
}

/* --- documents --- */

static const char *document =
    "{\"policies\":[{\"name\":\"a\",\"mode\":\"enforce\",\"detect\":{\"always\":{}},"
    "\"action\":{\"deny\":{}}},{\"name\":\"b\",\"detect\":{\"rate\":{\"requests\":20,"
    "\"per_seconds\":60}},\"action\":{\"deny\":{}}}],\"overrides\":["
    "{\"name\":\"b\",\"limit_percent\":50,\"starts_at\":\"1970-01-01T00:00:01Z\","
    "\"until\":\"1970-01-01T00:00:03Z\"},"
    "{\"name\":\"gone\",\"mode\":\"off\",\"until\":\"1970-01-01T00:00:03Z\"}]}";

static void test_overrides_read_for_the_policies_that_are_there(void **state)
{
    json_t *json = json_loads(document, 0, NULL);
    json_t *without = json_copy(json);
    l7s_config_t *config = NULL, *plain = NULL;

    (void)state;
    json_object_del(without, "overrides");
    assert_int_equal(l7s_config_parse(json, NULL, &config), L7S_OK);
    assert_int_equal(l7s_config_parse(without, NULL, &plain), L7S_OK);
    assert_int_equal(config->policies[0].override.until_ms, 0);
    assert_int_equal(config->policies[1].override.limit_percent, 50);
    assert_int_equal(config->policies[1].override.starts_ms, 1000);
    assert_int_equal(config->policies[1].override.until_ms, 3000);
    assert_false(config->policies[1].override.has_mode);
    /* The guard takes it for another policy. */
    assert_true(config->policies[1].fingerprint != plain->policies[1].fingerprint);
    assert_true(config->policies[0].fingerprint == plain->policies[0].fingerprint);
    l7s_config_free(config);
    l7s_config_free(plain);
    json_decref(json);
    json_decref(without);
}

static void test_override_state_by_the_clock(void **state)
{
    static const struct {
        uint64_t now_ms;
        l7s_override_state_t state;
    } cases[] = {{999, L7S_OVERRIDE_WAITS},
                 {1000, L7S_OVERRIDE_RUNS},
                 {2999, L7S_OVERRIDE_RUNS},
                 {3000, L7S_OVERRIDE_ENDED}};
    json_t *json = json_loads(document, 0, NULL);
    const json_t *override = json_array_get(json_object_get(json, "overrides"), 0);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_override_document_state(override, cases[i].now_ms),
                         cases[i].state);
    }
    assert_int_equal(l7s_override_document_state(NULL, 0), L7S_OVERRIDE_NONE);
    json_decref(json);
}

static void test_override_show_changes_what_is_effective(void **state)
{
    static const char *policy =
        "{\"detect\":{\"plans\":{\"list\":\"l\",\"attribute\":\"a\",\"rates\":"
        "{\"gold\":[{\"requests\":30,\"per_seconds\":1}]},\"default\":"
        "{\"requests\":1,\"per_seconds\":1}}},\"action\":{\"deny\":{}}}";
    json_t *json = json_loads(policy, 0, NULL);
    json_t *effective = l7s_policy_effective(json);
    json_t *override = json_pack("{s:s, s:i}", "mode", "enforce", "limit_percent", 50);

    (void)state;
    l7s_override_show(effective, override);
    assert_string_equal(json_string_value(json_object_get(effective, "mode")), "enforce");
    char *text = json_dumps(json_object_get(effective, "detect"), JSON_COMPACT);
    assert_string_equal(
        text, "{\"plans\":{\"list\":\"l\",\"attribute\":\"a\",\"rates\":{\"gold\":"
              "[{\"requests\":15,\"per_seconds\":1,\"burst\":15}]},\"default\":"
              "[{\"requests\":1,\"per_seconds\":1,\"burst\":1}]}}");
    free(text);
    json_decref(override);
    json_decref(effective);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_override_mode_acts_between_its_ends, fixture_start),
        cmocka_unit_test_setup(test_override_mode_alone_keeps_the_counters,
                               fixture_start),
        cmocka_unit_test_setup(test_override_limit_percent_scales_and_counts_anew,
                               fixture_start),
        cmocka_unit_test(test_override_scaled_beyond_what_can_be_counted_is_halved),
        cmocka_unit_test(test_overrides_read_for_the_policies_that_are_there),
        cmocka_unit_test(test_override_state_by_the_clock),
        cmocka_unit_test(test_override_show_changes_what_is_effective),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
