/* SPDX-License-Identifier: Apache-2.0
 *
 * Each rule where it speaks, and where it must keep silent.
 */
#include "../../core/json/lint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1700000000000ULL

#define ALWAYS "\"detect\":{\"always\":{}},"
#define RATE "\"detect\":{\"rate\":{\"requests\":10,\"per_seconds\":60}},"
#define DENY "\"action\":{\"deny\":{}}"
#define THROTTLE "\"action\":{\"throttle\":{}}"
#define ON "\"mode\":\"enforce\","
/* Before the policy that is looked at. */
#define FIRST(more) "{\"name\":\"first\",\"priority\":1," more "},"
#define IT(more) "{\"name\":\"it\"," more "}"

/* "code pointer " of each warning about the policy "it". */
static const char *lint_observed(const char *policies, const char *lists,
                                 l7s_lint_observed_t observed)
{
    static char out[1024];
    char text[4096];
    l7s_problems_t problems = {.count = 0}, warnings = {.count = 0};
    l7s_config_t *config;
    size_t it = 0;

    snprintf(text, sizeof text, "{\"policies\":[%s],\"lists\":[%s]}", policies, lists);
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    if (l7s_config_parse(document, &problems, &config) != L7S_OK) {
        fail_msg("%s %s", problems.items[0].pointer, problems.items[0].message);
    }
    while (strcmp(config->policies[it].name, "it") != 0) {
        it++;
    }
    l7s_lint(config, it, &observed, NOW_MS, &warnings);
    out[0] = '\0';
    for (size_t i = 0; i < warnings.count; i++) {
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s %s ",
                 warnings.items[i].code, warnings.items[i].pointer);
    }
    json_decref(document);
    l7s_config_free(config);
    return out;
}

static const char *lint(const char *policies)
{
    return lint_observed(policies, "", (l7s_lint_observed_t){0});
}

typedef struct {
    const char *policies, *expected;
} row_t;

static void check(const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = lint(rows[i].policies);
        if (strcmp(found, rows[i].expected) != 0) {
            fail_msg("%s\n  found    %s\n  expected %s", rows[i].policies, found,
                     rows[i].expected);
        }
    }
}

#define CHECK(rows) check(rows, sizeof rows / sizeof *rows)

static void test_lint_shadowed(void **state)
{
    (void)state;
    static const char shadowed[] = "shadowed /priority ";
    static const row_t rows[] = {
        {FIRST(ON ALWAYS DENY) IT(RATE THROTTLE), shadowed},
        {FIRST(ON ALWAYS DENY "}, {\"name\":\"second\",\"priority\":2," RATE THROTTLE)
             IT(RATE THROTTLE),
         shadowed},
        {FIRST(ON ALWAYS "\"action\":{\"allow\":{}}") IT(RATE THROTTLE), shadowed},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"paths\":[\"/a/**\"]}")
             IT(RATE THROTTLE ",\"match\":{\"paths\":[\"/a/b\",\"/a/*/c/**\"]}"),
         shadowed},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"hosts\":[\"*.example.com\"],\"methods\":["
                              "\"POST\",\"GET\"]}")
             IT(RATE THROTTLE ",\"match\":{\"hosts\":[\"a.example.com\"],\"methods\":["
                              "\"POST\"]}"),
         shadowed},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"client\":{\"in\":[\"10.0.0.0/8\",\"@l\"]}}")
             IT(RATE THROTTLE ",\"match\":{\"client\":{\"in\":[\"10.1.0.0/16\"]}}"),
         shadowed},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"except\":[{\"paths\":[\"/x\"]}]}")
             IT(RATE THROTTLE ",\"match\":{\"except\":[{\"paths\":[\"/x\",\"/y\"]}]}"),
         shadowed},
        /* It observes, may go on, comes behind, or matches less. */
        {FIRST(ALWAYS DENY) IT(RATE THROTTLE), ""},
        {FIRST(ON ALWAYS "\"action\":{\"log\":{}}") IT(RATE THROTTLE), ""},
        {FIRST(ON RATE DENY) IT(RATE THROTTLE), ""},
        {FIRST(ON "\"rollout_percent\":50," ALWAYS DENY) IT(RATE THROTTLE), ""},
        {IT("\"priority\":0," RATE THROTTLE) "," FIRST(
             ON ALWAYS DENY) "{\"name\":\"z\"," RATE THROTTLE
                             ",\"match\":{\"paths\":[\"/z\"]}}",
         ""},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"paths\":[\"/a/**\"]}") IT(RATE THROTTLE),
         ""},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"paths\":[\"/a/*\"]}")
             IT(RATE THROTTLE ",\"match\":{\"paths\":[\"/a/**\"]}"),
         ""},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"except\":[{\"paths\":[\"/x\"]}]}")
             IT(RATE THROTTLE),
         ""},
        {FIRST(ON ALWAYS DENY ",\"match\":{\"client\":{\"in\":[\"10.0.0.0/8\"]}}")
             IT(RATE THROTTLE ",\"match\":{\"client\":{\"in\":[\"10.0.0.0/7\"]}}"),
         ""},
        {FIRST(ON ALWAYS DENY ",\"expires_at\":\"2030-01-01T00:00:00Z\"")
             IT(RATE THROTTLE),
         ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *list = strstr(rows[i].policies, "@l") == NULL
                               ? ""
                               : "{\"name\":\"l\",\"entries\":[]}";
        assert_string_equal(
            lint_observed(rows[i].policies, list, (l7s_lint_observed_t){0}),
            rows[i].expected);
    }
}

static void test_lint_unreachable(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {IT(RATE THROTTLE ",\"match\":{\"paths\":[\"/a/b\"],\"except\":[{\"methods\":["
                          "\"GET\"]},{\"paths\":[\"/a/**\"]}]}"),
         "unreachable /match/except/1 "},
        {IT(RATE THROTTLE ",\"expires_at\":\"2023-01-01T00:00:00Z\""),
         "unreachable /expires_at "},
        {IT(RATE THROTTLE ",\"match\":{\"paths\":[\"/a/**\"],\"except\":[{\"paths\":["
                          "\"/a/b\"]}]}"),
         ""},
        {IT(RATE THROTTLE ",\"expires_at\":\"2030-01-01T00:00:00Z\""), ""},
    };

    CHECK(rows);
}

#define HEADER(is) "{\"name\":\"x-a\",\"is\":\"" is "\"}"
#define EQUALS(value) "{\"name\":\"X-A\",\"is\":\"equals\",\"values\":[" value "]}"

static void test_lint_contradictory(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {IT(RATE THROTTLE
            ",\"match\":{\"headers\":[" HEADER("absent") "," HEADER("present") "]}"),
         "contradictory /match/headers/1 "},
        {IT(RATE THROTTLE
            ",\"match\":{\"headers\":[" EQUALS("\"1\"") "," EQUALS("\"2\",\"3\"") "]}"),
         "contradictory /match/headers/1 "},
        {IT(RATE THROTTLE ",\"match\":{\"any\":[{\"query\":[" HEADER(
             "absent") ","
                       "{\"name\":\"x-a\",\"is\":\"contains\",\"values\":[\"1\"]}]}]}"),
         "contradictory /match/any/0/query "},
        {IT(RATE THROTTLE ",\"match\":{\"except\":[{\"cookies\":[" HEADER(
             "present") "," HEADER("absent") "]}]}"),
         "contradictory /match/except/0/cookies "},
        {IT(RATE THROTTLE ",\"match\":{\"headers\":[" EQUALS("\"1\",\"2\"") "," EQUALS(
             "\"2\",\"3\"") "]}"),
         ""},
        {IT(RATE THROTTLE ",\"match\":{\"headers\":[" HEADER(
             "absent") ",{\"name\":\"x-b\",\"is\":\"present\"}]}"),
         ""},
        /* A parameter may come twice. */
        {IT(RATE THROTTLE
            ",\"match\":{\"query\":[" EQUALS("\"1\"") "," EQUALS("\"2\"") "]}"),
         ""},
    };

    CHECK(rows);
}

static void test_lint_overlaps_allow_list(void **state)
{
    (void)state;
    static const char allow[] =
        "{\"name\":\"office\",\"effect\":\"allow\",\"entries\":[{\"value\":"
        "\"10.1.2.0/24\"},{\"value\":\"192.0.2.9\",\"expires_at\":\"2023-01-01T00:00:00Z"
        "\"}]}";
    static const char deny[] =
        "{\"name\":\"office\",\"effect\":\"deny\",\"entries\":[{\"value\":\"10.1.2.0/24"
        "\"}]}";
    static const char found[] = "overlaps_allow_list /match/client/in ";
    static const struct {
        const char *in, *lists, *expected;
    } rows[] = {
        {"\"10.0.0.0/8\"", allow, found}, {"\"10.1.2.3\"", allow, found},
        {"\"@office\"", allow, found},    {"\"10.2.0.0/16\"", allow, ""},
        {"\"192.0.2.0/24\"", allow, ""},  {"\"10.0.0.0/8\"", deny, ""},
        {"\"country:XX\"", allow, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char policy[512];
        snprintf(policy, sizeof policy,
                 IT(RATE THROTTLE ",\"match\":{\"client\":{\"in\":[%s]}}"), rows[i].in);
        assert_string_equal(
            lint_observed(policy, rows[i].lists, (l7s_lint_observed_t){0}),
            rows[i].expected);
    }
}

static void test_lint_threshold_below_p99(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        uint64_t matched, over;
        const char *expected;
    } rows[] = {
        {IT(RATE THROTTLE), 100000, 1001, "threshold_below_p99 /detect/rate "},
        {IT(RATE THROTTLE), 100000, 1000, ""},
        {IT(RATE THROTTLE), 500, 400, ""}, /* too few to say */
        {IT(ALWAYS DENY), 100000, 100000, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(
            lint_observed(rows[i].policy, "",
                          (l7s_lint_observed_t){rows[i].matched, rows[i].over}),
            rows[i].expected);
    }
}

#define BY(parts) "\"count\":{\"by\":[" parts "]},"

static void test_lint_unbounded_keys(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {IT(BY("\"header:x-key\"") RATE THROTTLE), "unbounded_keys /count/by/0 "},
        {IT(BY("\"client\",\"cookie:sid\"") RATE THROTTLE),
         "unbounded_keys /count/by/1 "},
        {IT(BY("\"path\"") RATE THROTTLE ",\"match\":{\"paths\":[\"/a/**\"]}"),
         "unbounded_keys /count/by/0 "},
        /* A companion that does not match all of it, only logs, or is as easy to evade.
         */
        {FIRST(RATE THROTTLE ",\"match\":{\"paths\":[\"/a\"]}")
             IT(BY("\"header:x-key\"") RATE THROTTLE),
         "unbounded_keys /count/by/0 "},
        {FIRST(RATE "\"action\":{\"log\":{}}") IT(BY("\"header:x-key\"") RATE THROTTLE),
         "unbounded_keys /count/by/0 "},
        {FIRST(BY("\"cookie:sid\"") RATE THROTTLE)
             IT(BY("\"header:x-key\"") RATE THROTTLE),
         "unbounded_keys /count/by/0 "},
        {FIRST(RATE THROTTLE) IT(BY("\"header:x-key\"") RATE THROTTLE), ""},
        {FIRST(BY("\"network\"") RATE THROTTLE ",\"match\":{\"paths\":[\"/a/**\"]}")
             IT(BY("\"header:x-key\"") RATE THROTTLE ",\"match\":{\"paths\":[\"/a/b\"]}"),
         ""},
        {IT(BY("\"header:x-key\"") RATE THROTTLE
            ",\"match\":{\"headers\":[{\"name\":\"X-Key\",\"is\":\"equals\",\"values\":["
            "\"1\"]}]}"),
         ""},
        {IT(BY("\"path\"") RATE THROTTLE ",\"match\":{\"paths\":[\"/a\",\"/b\"]}"), ""},
        {IT(BY("\"client\"") RATE THROTTLE), ""},
    };

    CHECK(rows);
}

#define BAN(seconds) "\"action\":{\"ban\":{\"seconds\":" seconds "}}"

static void test_lint_long_ban(void **state)
{
    (void)state;
    static const row_t rows[] = {
        {IT(RATE BAN("2592001")), "long_ban /action/ban/seconds "},
        {IT(RATE BAN("60") ",\"escalate\":[{\"after\":2,\"within_seconds\":60," BAN(
             "600") "},{\"after\":3,\"within_seconds\":60," BAN("31536000") "}]"),
         "long_ban /escalate/1/action/ban/seconds "},
        {IT(RATE BAN("2592000")), ""},
    };

    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lint_shadowed),
        cmocka_unit_test(test_lint_unreachable),
        cmocka_unit_test(test_lint_contradictory),
        cmocka_unit_test(test_lint_overlaps_allow_list),
        cmocka_unit_test(test_lint_threshold_below_p99),
        cmocka_unit_test(test_lint_unbounded_keys),
        cmocka_unit_test(test_lint_long_ban),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
