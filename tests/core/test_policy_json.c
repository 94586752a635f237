/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy's way into the model, the identity of its counters, its effective form.
 */
#include "../../core/json/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    l7s_problems_t problems = {.count = 0};
    json_t *value = l7s_json_read(text, strlen(text), &problems);

    assert_non_null(value);
    return value;
}

/* The configuration with this one policy, named "p", and a list "office". */
static l7s_config_t *with_policy(const char *text)
{
    json_t *policy = parse(text), *document = NULL;
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    json_object_set_new(policy, "name", json_string("p"));
    document =
        json_pack("{s:[o], s:[{s:s}]}", "policies", policy, "lists", "name", "office");
    if (l7s_config_parse(document, &problems, &config) != L7S_OK) {
        fail_msg("%s %s", problems.items[0].pointer, problems.items[0].message);
    }
    json_decref(document);
    return config;
}

static void test_policy_read_minimal_has_the_documented_defaults(void **state)
{
    l7s_config_t *config =
        with_policy("{\"detect\":{\"rate\":{\"requests\":20,"
                    "\"per_seconds\":60}},\"action\":{\"throttle\":{}}}");
    const l7s_policy_t *policy = &config->policies[0];

    (void)state;
    assert_int_equal(policy->mode, L7S_MODE_OBSERVE);
    assert_int_equal(policy->rollout_percent, 100);
    assert_int_equal(policy->priority, 100);
    assert_int_equal(policy->by_count, 1);
    assert_int_equal(policy->by[0].part, L7S_PART_CLIENT);
    assert_int_equal(policy->when_absent, L7S_ABSENT_CLIENT);
    assert_int_equal(policy->ipv4_prefix, 24);
    assert_int_equal(policy->ipv6_prefix, 48);
    assert_int_equal(policy->rate_count, 1);
    assert_int_equal(policy->rates[0].burst, 20);
    assert_int_equal(policy->rates[0].period_us, 60000000);
    assert_true(policy->fleet);
    assert_int_equal(policy->status, 429);
    assert_string_equal(policy->response, "default");
    assert_int_equal(policy->expires_ms, 0);
    assert_false(policy->match.has_client);
    l7s_config_free(config);
}

static void test_policy_read_full_keeps_every_member(void **state)
{
    l7s_config_t *config = with_policy(
        "{\"mode\":\"enforce\",\"rollout_percent\":5,\"priority\":7,\"scope\":\"node\","
        "\"match\":{\"hosts\":[\"*.Example.COM\"],\"methods\":[\"POST\"],\"paths\":"
        "[\"/a/**\"],\"headers\":[{\"name\":\"User-Agent\",\"is\":\"glob\",\"values\":"
        "[\"x*\"]}],\"client\":{\"in\":[\"10.0.0.0/8\",\"@office\",\"2001:db8::1\"]},"
        "\"except\":[{\"methods\":[\"GET\"]},{\"client\":{\"in\":[\"@office\"]}}]},"
        "\"count\":{\"by\":[\"network\",\"header:X-Key\"],\"when_absent\":\"skip\","
        "\"ipv4_prefix\":16},\"detect\":{\"always\":{}},\"action\":{\"ban\":{\"seconds\":9}},"
        "\"expires_at\":\"1970-01-01T00:00:01Z\"}");
    const l7s_policy_t *policy = &config->policies[0];

    (void)state;
    assert_int_equal(policy->mode, L7S_MODE_ENFORCE);
    assert_int_equal(policy->rollout_percent, 5);
    assert_int_equal(policy->priority, 7);
    assert_false(policy->fleet);
    assert_string_equal(policy->match.hosts.items[0], "*.example.com");
    assert_string_equal(policy->match.methods.items[0], "POST");
    assert_string_equal(policy->match.paths.items[0], "/a/**");
    assert_string_equal(policy->match.headers[0].name, "user-agent");
    assert_int_equal(policy->match.headers[0].is, L7S_IS_GLOB);
    assert_string_equal(policy->match.headers[0].values.items[0], "x*");
    assert_int_equal(policy->match.network_count, 2);
    assert_int_equal(policy->match.networks[0].prefix, 104);
    assert_int_equal(policy->match.client_lists.count, 1);
    assert_string_equal(policy->match.client_lists.items[0], "office");
    assert_int_equal(policy->except_count, 2);
    assert_string_equal(policy->except[0].methods.items[0], "GET");
    assert_true(policy->except[1].has_client);
    assert_int_equal(policy->by[1].part, L7S_PART_HEADER);
    assert_string_equal(policy->by[1].name, "x-key");
    assert_int_equal(policy->when_absent, L7S_ABSENT_SKIP);
    assert_int_equal(policy->ipv4_prefix, 16);
    assert_int_equal(policy->rate_count, 0);
    assert_int_equal(policy->action, L7S_ACTION_BAN);
    assert_int_equal(policy->status, 403);
    assert_int_equal(policy->ban_seconds, 9);
    assert_int_equal(policy->expires_ms, 1000);
    l7s_config_free(config);
}

#define ACT "\"action\":{\"deny\":{}}"
#define RATE "\"detect\":{\"rate\":{\"requests\":5,\"per_seconds\":10}}"

static char *spec_of(const char *text)
{
    l7s_config_t *config = with_policy(text);
    char *spec = strdup(config->policies[0].spec);

    l7s_config_free(config);
    return spec;
}

static void test_policy_spec_written_out_default_is_the_same_counter(void **state)
{
    static const char *const same[] = {
        "{\"detect\":{\"rate\":{\"burst\":5,\"requests\":5,\"per_seconds\":10}}," ACT "}",
        "{\"detect\":{\"rate\":[{\"per_seconds\":10.0,\"requests\":5.0}]}," ACT "}",
        "{" RATE ",\"count\":{}," ACT "}",
        "{" RATE ",\"count\":{\"statuses\":[]}," ACT "}",
        "{" RATE ",\"count\":{\"by\":[\"client\"],\"cost\":\"requests\",\"when_absent\":"
        "\"client\",\"ipv4_prefix\":24,\"ipv6_prefix\":48}," ACT "}",
        "{" RATE ",\"mode\":\"enforce\",\"priority\":3,\"labels\":{\"a\":\"b\"},"
        "\"action\":{\"throttle\":{}}}",
    };
    char *spec = spec_of("{" RATE "," ACT "}");

    (void)state;
    assert_string_equal(
        spec, "{\"count\":{\"by\":[\"client\"],\"cost\":\"requests\","
              "\"ipv4_prefix\":24,\"ipv6_prefix\":48,\"when_absent\":\"client\"},"
              "\"detect\":{\"rate\":[{\"burst\":5,\"per_seconds\":10,"
              "\"requests\":5}]}}");
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char *other = spec_of(same[i]);

        assert_string_equal(spec, other);
        free(other);
    }
    free(spec);
}

static void test_policy_spec_other_count_or_detect_is_another_counter(void **state)
{
    static const char *const others[] = {
        "{\"detect\":{\"rate\":{\"burst\":6,\"requests\":5,\"per_seconds\":10}}," ACT "}",
        "{\"detect\":{\"always\":{}}," ACT "}",
        "{" RATE ",\"count\":{\"by\":[\"network\"]}," ACT "}",
        "{" RATE ",\"count\":{\"by\":[\"client\",\"path\"]}," ACT "}",
        "{" RATE ",\"count\":{\"when_absent\":\"skip\"}," ACT "}",
        "{" RATE ",\"count\":{\"statuses\":[\"401\"]}," ACT "}",
        "{" RATE ",\"count\":{\"cost\":\"busy_ms\"}," ACT "}",
    };
    char *spec = spec_of("{" RATE "," ACT "}");

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char *other = spec_of(others[i]);

        assert_string_not_equal(spec, other);
        free(other);
    }
    free(spec);
}

static void test_policy_spec_header_names_ignore_case(void **state)
{
    char *a = spec_of("{" RATE ",\"count\":{\"by\":[\"header:X-Key\"]}," ACT "}");
    char *b = spec_of("{" RATE ",\"count\":{\"by\":[\"header:x-key\"]}," ACT "}");

    (void)state;
    assert_string_equal(a, b);
    free(a);
    free(b);
}

static void test_policy_effective_fills_in_what_was_left_out(void **state)
{
    json_t *policy = parse("{\"action\":{\"ban\":{\"seconds\":5}},\"detect\":{\"rate\":"
                           "{\"requests\":5,\"per_seconds\":10}},\"status\":{\"a\":1}}");
    json_t *effective = l7s_policy_effective(policy);
    char *text = json_dumps(effective, JSON_SORT_KEYS | JSON_COMPACT);

    (void)state;
    assert_string_equal(
        text,
        "{\"action\":{\"ban\":{\"response\":\"default\",\"seconds\":5,\"status\":403}},"
        "\"consistency\":\"eventual\",\"count\":{\"by\":[\"client\"],\"cost\":"
        "\"requests\",\"ipv4_prefix\":24,\"ipv6_prefix\":48,\"when_absent\":"
        "\"client\"},\"detect\":{\"rate\":[{\"burst\":5,\"per_seconds\":10,"
        "\"requests\":5}]},\"escalate\":[],\"expires_at\":null,\"guard\":\"default\",\"labels\":{},\"match\":{},\"mode\":"
        "\"observe\",\"priority\":100,\"rollout_percent\":100,\"scope\":\"fleet\","
        "\"when_store_down\":\"local\"}");
    assert_int_equal(l7s_object_check("policy", "p", effective, NULL), L7S_OK);
    assert_non_null(
        json_object_get(policy, "status")); /* the policy itself is untouched */
    assert_null(json_object_get(json_object_get(json_object_get(policy, "action"), "ban"),
                                "status"));
    free(text);
    json_decref(effective);
    json_decref(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_read_minimal_has_the_documented_defaults),
        cmocka_unit_test(test_policy_read_full_keeps_every_member),
        cmocka_unit_test(test_policy_spec_written_out_default_is_the_same_counter),
        cmocka_unit_test(test_policy_spec_other_count_or_detect_is_another_counter),
        cmocka_unit_test(test_policy_spec_header_names_ignore_case),
        cmocka_unit_test(test_policy_effective_fills_in_what_was_left_out),
    };

    return cmocka_run_group_tests_name("policy_json", tests, NULL, NULL);
}
