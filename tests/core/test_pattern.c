/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions: what is found, and how long the worst takes.
 */
#include "../../core/compile/compile_pattern.h"
#include "../../core/image/image_layout.h"
#include "../../core/image/pattern.h"
#include "../../core/pairs.h"
#include "policy_fixture.h"
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static l7s_strings_t one(fixture_t *fixture, const char *pattern)
{
    l7s_strings_t strings = {1, fixture_alloc(fixture, sizeof *strings.items)};

    strings.items[0] = fixture_text(fixture, pattern);
    return strings;
}

/* A policy that denies where this pattern is found in the path. */
static l7s_policy_t *deny(fixture_t *fixture, const char *name, const char *pattern)
{
    l7s_policy_t *policy = fixture_policy(fixture, name, L7S_ACTION_DENY, 0, 0);

    policy->match.patterns = one(fixture, pattern);
    return policy;
}

/* The name of the policy that decided, "" when none did. */
static void expect(fixture_t *fixture, const char *path, const char *name)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", path);
    l7s_verdict_t verdict = fixture_decide(fixture, &request);

    assert_string_equal(verdict.outcome == L7S_OUTCOME_ADMITTED ? "" : verdict.policy,
                        name);
}

static l7s_status_t compile(fixture_t *fixture)
{
    uint64_t expiry;
    size_t size;

    return l7s_image_compile(&fixture->config, &fixture->count_key, 1, 1, NULL, NULL, 0,
                             &size, &expiry);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- what is found --- */

static void test_path_regex_is_looked_for_anywhere_unless_anchored(void **state)
{
    fixture_t *fixture = *state;

    deny(fixture, "anywhere", "admin");
    deny(fixture, "whole", "^/exact$");
    deny(fixture, "end", "\\.php$");
    deny(fixture, "fold", "(?i)shell");
    fixture_compile(fixture);
    expect(fixture, "/x/admin.html", "anywhere");
    expect(fixture, "/exact", "whole");
    expect(fixture, "/exact/not", "");
    expect(fixture, "/a/exact", "");
    expect(fixture, "/a.php", "end");
    expect(fixture, "/a.php5", "");
    expect(fixture, "/SHeLL", "fold");
    expect(fixture, "/Admin", "");
}

static void test_path_regex_newline_and_bytes_hide_nothing(void **state)
{
    fixture_t *fixture = *state;

    deny(fixture, "gap", "^/a.*b$");
    fixture_compile(fixture);
    expect(fixture, "/a\nb", "gap");
    expect(fixture, "/a\xff\xc0\x80\xe2\x82z\rb", "gap");
    expect(fixture, "/a%00b", "gap");
    expect(fixture, "/a\nc", "");
}

static void test_path_regex_and_paths_must_both_hold(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = deny(fixture, "both", "[0-9]+$");

    policy->match.paths = fixture_strings(fixture, "/api/**");
    fixture_compile(fixture);
    expect(fixture, "/api/7", "both");
    expect(fixture, "/api/x", "");
    expect(fixture, "/other/7", "");
}

static void test_path_regex_any_of_several_and_shared_by_policies(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *first = fixture_policy(fixture, "first", L7S_ACTION_DENY, 0, 0);
    l7s_policy_t *second = fixture_policy(fixture, "second", L7S_ACTION_DENY, 0, 0);

    first->match.patterns = fixture_strings(fixture, "^/a ^/b");
    first->match.methods = fixture_strings(fixture, "POST");
    second->match.patterns = fixture_strings(fixture, "^/b ^/c");
    fixture_compile(fixture);
    assert_int_equal(fixture->image->patterns, 3);
    expect(fixture, "/a", "");
    expect(fixture, "/b", "second");
    expect(fixture, "/c", "second");
}

static void test_path_regex_in_an_exception_exempts(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = deny(fixture, "php", "\\.php$");

    fixture_except(fixture, policy)->patterns = one(fixture, "^/good/");
    fixture_compile(fixture);
    expect(fixture, "/bad/a.php", "php");
    expect(fixture, "/good/a.php", "");
}

static void test_regex_of_fields_each_has_its_own_patterns(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "all", L7S_ACTION_DENY, 0, 0);
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/x");

    fixture_match_header(fixture, &policy->match, "user-agent", L7S_IS_REGEX, "^a ^b");
    fixture_match_pair(fixture, &policy->match, L7S_FIELD_QUERY, "q", L7S_IS_REGEX, "^b");
    fixture_match_pair(fixture, &policy->match, L7S_FIELD_COOKIE, "c", L7S_IS_REGEX,
                       "^b");
    fixture_compile(fixture);
    assert_int_equal(fixture->image->patterns, 4);
    request.headers[0] = "user-agent: bot";
    request.headers[1] = "cookie: c=x; c=bar";
    request.facts.target = "/x?q=0&q=%62ar";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_DENIED);
    request.facts.target = "/x?q=0&q=xb";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    request.facts.target = "/x?q=b";
    request.headers[1] = "cookie: C=b";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    request.headers[1] = "cookie: c=b";
    request.headers[0] = "user-agent: xbot";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
}

static void test_compile_more_subjects_or_names_than_may_be_is_refused(void **state)
{
    fixture_t *fixture = *state;
    l7s_match_t *match;
    char name[16];

    for (unsigned i = 0; i <= L7S_SUBJECTS_MAX; i++) {
        l7s_policy_t *policy;
        snprintf(name, sizeof name, "p%u", i);
        policy = fixture_policy(fixture, name, L7S_ACTION_DENY, 0, 0);
        fixture_match_pair(fixture, &policy->match, L7S_FIELD_QUERY, name, L7S_IS_REGEX,
                           "a");
    }
    assert_int_equal(compile(fixture), L7S_INVALID);
    fixture->config.policy_count--;
    assert_int_equal(compile(fixture), L7S_TOO_BIG);
    match = &fixture_policy(fixture, "many", L7S_ACTION_DENY, 0, 0)->match;
    *match = (l7s_match_t){0};
    match->pairs =
        fixture_alloc(fixture, (L7S_PAIRS_NAMES_MAX + 1) * sizeof *match->pairs);
    for (unsigned i = 0; i <= L7S_PAIRS_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        fixture_match_pair(fixture, match, L7S_FIELD_COOKIE, name, L7S_IS_PRESENT, "");
    }
    assert_int_equal(compile(fixture), L7S_INVALID);
    match->pair_count--;
    assert_int_equal(compile(fixture), L7S_TOO_BIG);
}

static void test_path_regex_without_scratch_is_never_found(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/admin");

    deny(fixture, "admin", "admin");
    fixture_compile(fixture);
    request.facts.scratch = NULL;
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    expect(fixture, "/admin", "admin");
}

/* What is behind the first L7S_SCAN_MAX bytes is not looked at. */
static void test_path_regex_long_text_is_cut_for_the_scan(void **state)
{
    fixture_t *fixture = *state;
    char *path = fixture_alloc(fixture, L7S_SCAN_MAX + 64);

    deny(fixture, "needle", "needle");
    fixture_compile(fixture);
    memset(path, 'a', L7S_SCAN_MAX + 32);
    path[0] = '/';
    memcpy(path + L7S_SCAN_MAX - 6, "needle", 6);
    expect(fixture, path, "needle");
    memcpy(path + L7S_SCAN_MAX - 6, "xneedle", 7);
    expect(fixture, path, "");
}

/* --- what an image may hold --- */

static void test_compile_more_patterns_than_may_be_is_refused(void **state)
{
    fixture_t *fixture = *state;
    l7s_strings_t all = {L7S_PATTERNS_MAX + 1,
                         fixture_alloc(fixture, (L7S_PATTERNS_MAX + 1) * sizeof(char *))};
    l7s_policy_t *policy = fixture_policy(fixture, "many", L7S_ACTION_DENY, 0, 0);
    char text[16];

    for (unsigned i = 0; i < all.count; i++) {
        snprintf(text, sizeof text, "^/p%u$", i);
        all.items[i] = fixture_text(fixture, text);
    }
    policy->match.patterns = all;
    assert_int_equal(compile(fixture), L7S_INVALID);
    policy->match.patterns.count--;
    assert_int_equal(compile(fixture), L7S_TOO_BIG); /* for no memory at all */
    fixture_compile(fixture);
    expect(fixture, "/p1023", "many");
    expect(fixture, "/p1024", "");
}

static void test_image_check_another_database_is_refused(void **state)
{
    fixture_t *fixture = *state;
    l7s_image_t *image = fixture->image_memory;
    const l7s_section_t *section = &image->sections[L7S_SECTION_PATTERNS];
    uint8_t *bytes;

    deny(fixture, "a", "^/a");
    fixture_compile(fixture);
    bytes = (uint8_t *)image + section->at;
    assert_true(section->count > 0 && section->at % 64 == 0);
    for (uint32_t i = 0; i < section->count; i += 97) {
        bytes[i] ^= 0x10;
        assert_null(l7s_image_check(image, image->size));
        bytes[i] ^= 0x10;
    }
    /* Even one with the right stamp must be one of this library. */
    bytes[0] ^= 1;
    image->pattern_stamp = l7s_pattern_stamp(bytes, section->count);
    assert_null(l7s_image_check(image, image->size));
}

/* --- time --- */

/* What makes a backtracking matcher need years takes no longer than what does not. */
static void test_path_regex_time_is_linear_for_the_worst_patterns(void **state)
{
    static const char *const patterns[] = {
        "^/(a+)+$",      "^/(a|aa)+$",         "^/(a|a?)+$",  "(.*a){20}b",
        "^/([a-z]+)*!$", "(a*)*(a*)*c",        "^(.+)+x{3}$", "(.{0,30}a){0,30}z",
        "(x+x+)+y",      "(\\w+\\s?)+[^\\w]$",
    };
    fixture_t *fixture = *state;
    char path[8192];
    double before, worst = 0;

    for (unsigned i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", i);
        deny(fixture, name, patterns[i]);
    }
    fixture_compile(fixture);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 2] = '!';
    path[sizeof path - 1] = '\0';
    for (unsigned i = 0; i < 20; i++) {
        double took;
        before = seconds();
        expect(fixture, path, "p4");
        took = seconds() - before;
        worst = took > worst ? took : worst;
    }
    /* 8 KB; a hundred times what it takes without a sanitizer. */
    assert_true(worst < 0.1);
}

/* --- what nobody but an attacker sends --- */

/* Bytes of any value but NUL, with many of those that mean something. */
static char *noise(fixture_t *fixture, uint64_t *seed, size_t size, const char *before)
{
    static const char meaning[] = "%&=;+?/.#a0 \"\\\t";
    size_t length = strlen(before);
    char *text = fixture_alloc(fixture, length + size + 1);

    memcpy(text, before, length);
    for (size_t i = length; i < length + size; i++) {
        uint64_t next = seeded_next(seed);
        text[i] = next % 3 == 0 ? (char)(1 + next / 3 % 255)
                                : meaning[next / 3 % (sizeof meaning - 1)];
    }
    return text;
}

static void test_hostile_requests_are_decided_in_bounded_time(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "all", L7S_ACTION_DENY, 0, 0);
    l7s_policy_t *path = deny(fixture, "path", "^/(%+)+x$");
    uint64_t seed = 11;
    double worst = 0;

    (void)path;
    fixture_match_header(fixture, fixture_any(fixture, policy), "user-agent",
                         L7S_IS_REGEX, "(a+)+$ ^(.|x)+needle");
    fixture_match_pair(fixture, fixture_any(fixture, policy), L7S_FIELD_QUERY, "a",
                       L7S_IS_REGEX, "(.*a){9}needle");
    fixture_match_pair(fixture, fixture_any(fixture, policy), L7S_FIELD_QUERY, "0",
                       L7S_IS_CONTAINS, "needle");
    fixture_match_pair(fixture, fixture_any(fixture, policy), L7S_FIELD_COOKIE, "a",
                       L7S_IS_GLOB, "*a*b*c*needle");
    fixture_by(fixture, policy, "cookie:a header:user-agent path");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 300; i++) {
        fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/");
        char raw[9000], clean[9000];
        bool cut;
        double before, took;
        snprintf(raw, sizeof raw, "%s", noise(fixture, &seed, 8000, "/"));
        l7s_path_normalise(raw, clean, sizeof clean, &cut);
        request.facts.path = clean;
        request.facts.target = noise(fixture, &seed, 8500, "/x?");
        request.headers[0] = noise(fixture, &seed, 8192, "user-agent: ");
        request.headers[1] = noise(fixture, &seed, 8192, "cookie: ");
        before = seconds();
        (void)fixture_decide(fixture, &request);
        took = seconds() - before;
        worst = took > worst ? took : worst;
        /* And it still sees what is there. */
        request.facts.target = "/?x&%61=%FF&0=%6eeedle";
        assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_DENIED);
    }
    assert_true(worst < 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_hostile_requests_are_decided_in_bounded_time,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_is_looked_for_anywhere_unless_anchored,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_newline_and_bytes_hide_nothing,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_and_paths_must_both_hold, fixture_start),
        cmocka_unit_test_setup(test_path_regex_any_of_several_and_shared_by_policies,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_in_an_exception_exempts, fixture_start),
        cmocka_unit_test_setup(test_regex_of_fields_each_has_its_own_patterns,
                               fixture_start),
        cmocka_unit_test_setup(test_compile_more_subjects_or_names_than_may_be_is_refused,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_without_scratch_is_never_found,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_long_text_is_cut_for_the_scan,
                               fixture_start),
        cmocka_unit_test_setup(test_compile_more_patterns_than_may_be_is_refused,
                               fixture_start),
        cmocka_unit_test_setup(test_image_check_another_database_is_refused,
                               fixture_start),
        cmocka_unit_test_setup(test_path_regex_time_is_linear_for_the_worst_patterns,
                               fixture_start),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
