/* SPDX-License-Identifier: Apache-2.0
 *
 * Where clients come from: the databases, and what policies and lists make of them.
 */
#define _GNU_SOURCE
#include "../../core/geo.h"
#include "../../core/image/image_layout.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNTRIES GEO_DATABASES "/countries.mmdb"

static int set_up(void **state)
{
    static fixture_t fixture;

    fixture_open(&fixture, 64);
    fixture.shared.geo = fixture_geo(GEO_DATABASES);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *fixture = *state;

    l7s_geo_free((l7s_geo_t *)fixture->shared.geo);
    fixture_close(fixture);
    return 0;
}

/* --- databases --- */

static void test_geo_find_table(void **state)
{
    static const struct {
        const char *address, *country;
        uint32_t asn;
    } table[] = {
        {"203.0.113.7", "XA", 64500},
        {"127.0.2.1", "XA", 64500},
        {"127.0.2.200", "XA", 0},
        {"127.0.3.1", "XB", 64501},
        {"2001:db8:a::1", "XC", 4200000001},
        {"127.0.0.1", "", 0},
        {"2001:db8:b::1", "", 0},
        {"198.51.100.1", "", 0}, /* a country of seven letters */
        {"255.255.255.255", "", 0},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", 0},
        {"::", "", 0},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        l7s_addr_t addr = fixture_addr(table[i].address);
        l7s_geo_place_t found;
        l7s_geo_find(fixture->shared.geo, &addr, &found);
        assert_string_equal(found.country, table[i].country);
        assert_int_equal(found.asn, table[i].asn);
    }
}

static void test_geo_add_what_is_no_database_is_refused_with_a_reason(void **state)
{
    char path[] = "/tmp/l7s-geo-XXXXXX", why[160], *bytes = malloc(4096);
    l7s_geo_t *geo = l7s_geo_create();
    FILE *file = fopen(COUNTRIES, "rb");
    size_t size = fread(bytes, 1, 4096, file);
    int fd = mkstemp(path);

    (void)state;
    fclose(file);
    assert_int_equal(l7s_geo_add(geo, "/nowhere.mmdb", why, sizeof why), L7S_IO);
    assert_non_null(strstr(why, "No such file"));
    assert_int_not_equal(l7s_geo_add(geo, path, why, sizeof why), L7S_OK); /* empty */
    assert_int_equal(write(fd, bytes, size / 2), size / 2);
    assert_int_equal(l7s_geo_add(geo, path, why, sizeof why), L7S_INVALID);
    assert_non_null(strstr(why, "is no MaxMind database"));
    assert_int_equal(l7s_geo_files(geo), 0);
    for (unsigned i = 0; i < L7S_GEO_FILES_MAX; i++) {
        assert_int_equal(l7s_geo_add(geo, COUNTRIES, why, sizeof why), L7S_OK);
    }
    assert_int_equal(l7s_geo_add(geo, COUNTRIES, why, sizeof why), L7S_TOO_BIG);
    l7s_geo_free(geo);
    close(fd);
    unlink(path);
    free(bytes);
}

/* A file whose inside is damaged answers wrongly at worst. (Damaged metadata is refused,
 * but the library leaks then.) */
static void test_geo_find_damaged_database_does_no_harm(void **state)
{
    char path[] = "/tmp/l7s-geo-XXXXXX", why[160], *bytes = malloc(4096),
         *copy = malloc(4096);
    FILE *file = fopen(COUNTRIES, "rb");
    size_t size = fread(bytes, 1, 4096, file);
    uint64_t random = 1;
    unsigned opened = 0;
    size_t inside;
    int fd = mkstemp(path);

    (void)state;
    fclose(file);
    inside = (size_t)((char *)memmem(bytes, size, "MaxMind.com", 11) - bytes) - 3;
    for (unsigned round = 0; round < 2000; round++) {
        l7s_geo_t *geo = l7s_geo_create();
        memcpy(copy, bytes, size);
        for (unsigned i = 0; i < 3; i++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            copy[(random >> 33) % inside] = (char)(random >> 20);
        }
        assert_int_equal(pwrite(fd, copy, size, 0), size);
        if (l7s_geo_add(geo, path, why, sizeof why) == L7S_OK) {
            static const char *const clients[] = {"203.0.113.7", "127.0.2.1",
                                                  "2001:db8:a::1", "127.0.3.9"};
            opened++;
            for (unsigned i = 0; i < 4; i++) {
                l7s_addr_t addr = fixture_addr(clients[i]);
                l7s_geo_place_t found;
                l7s_geo_find(geo, &addr, &found);
                assert_true(strlen(found.country) == 0 || strlen(found.country) == 2);
            }
        }
        l7s_geo_free(geo);
    }
    assert_int_equal(opened, 2000);
    close(fd);
    unlink(path);
    free(bytes);
    free(copy);
}

/* --- policies and lists --- */

static l7s_outcome_t outcome(fixture_t *fixture, const char *client)
{
    fixture_request_t request = fixture_request(client, "GET", "a.test", "/");

    return fixture_decide(fixture, &request).outcome;
}

static void test_client_in_country_or_asn_matches(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "some", L7S_ACTION_DENY, 0, 0);

    fixture_match_client(fixture, &policy->match,
                         "country:XC country:XB asn:64500 10.0.0.1");
    fixture_compile(fixture);
    assert_true(l7s_image_needs_origin(fixture->image));
    assert_int_equal(outcome(fixture, "203.0.113.7"), L7S_OUTCOME_DENIED);
    assert_int_equal(outcome(fixture, "127.0.3.7"), L7S_OUTCOME_DENIED);
    assert_int_equal(outcome(fixture, "2001:db8:a::7"), L7S_OUTCOME_DENIED);
    assert_int_equal(outcome(fixture, "10.0.0.1"), L7S_OUTCOME_DENIED);
    assert_int_equal(outcome(fixture, "127.0.2.200"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, "192.0.2.1"), L7S_OUTCOME_ADMITTED);
}

static void test_image_without_origins_needs_none(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "some", L7S_ACTION_DENY, 0, 0);

    fixture_match_client(fixture, &policy->match, "10.0.0.1");
    fixture_list_of(fixture, "idle", L7S_LIST_COUNTRIES, L7S_EFFECT_NONE, "XA");
    fixture_compile(fixture);
    assert_false(l7s_image_needs_origin(fixture->image));
}

static void test_lists_of_countries_and_asns_allow_and_deny(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr("127.0.2.7");
    l7s_verdict_t verdict;

    fixture_list_of(fixture, "deny", L7S_LIST_COUNTRIES, L7S_EFFECT_DENY, "XB XA");
    fixture_list_of(fixture, "allow", L7S_LIST_ASNS, L7S_EFFECT_ALLOW, "64501");
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, "203.0.113.7"), L7S_OUTCOME_LISTED);
    assert_int_equal(outcome(fixture, "127.0.3.7"), L7S_OUTCOME_ALLOW_LISTED);
    assert_int_equal(outcome(fixture, "2001:db8:a::7"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, "192.0.2.1"), L7S_OUTCOME_ADMITTED);
    assert_true(l7s_addresses_matter(&fixture->shared, fixture->image));
    assert_true(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                   L7S_MODE_ENFORCE, fixture->now, &verdict));
    assert_string_equal(verdict.policy, "deny");
    peer = fixture_addr("127.0.3.7");
    assert_false(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                    L7S_MODE_ENFORCE, fixture->now, &verdict));
}

static void test_count_by_asn_and_country_unknown_is_absent(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *asn = fixture_policy(fixture, "asn", L7S_ACTION_THROTTLE, 1, 60);
    fixture_request_t request = fixture_request("203.0.113.2", "GET", "a.test", "/");
    l7s_verdict_t verdict;

    fixture_by(fixture, asn, "asn country");
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, "203.0.113.1"), L7S_OUTCOME_ADMITTED);
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(verdict.key, "asn=64500,country=XA");
    assert_int_equal(outcome(fixture, "127.0.3.1"), L7S_OUTCOME_ADMITTED);
    /* Whose origin is not known counts by client. */
    assert_int_equal(outcome(fixture, "192.0.2.1"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, "192.0.2.2"), L7S_OUTCOME_ADMITTED);
    request = fixture_request("192.0.2.2", "GET", "a.test", "/");
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(verdict.key, "asn=-,country=-,client=192.0.2.2");
}

static void test_ban_by_country_hits_the_country_only(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *ban = fixture_policy(fixture, "ban", L7S_ACTION_BAN, 1, 60);

    fixture_by(fixture, ban, "country");
    ban->when_absent = L7S_ABSENT_SKIP;
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, "203.0.113.1"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, "203.0.113.1"), L7S_OUTCOME_BANNED);
    assert_int_equal(outcome(fixture, "127.0.2.1"), L7S_OUTCOME_BANNED);
    assert_int_equal(outcome(fixture, "127.0.3.1"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, "192.0.2.1"), L7S_OUTCOME_ADMITTED);
    assert_string_equal(fixture_episode(fixture, "ban")->facts.country, "XA");
    assert_int_equal(fixture_episode(fixture, "ban")->facts.asn, 64500);
}

/* The memo of a connection is of one client; another one is looked up again. */
static void test_origin_is_remembered_for_its_client(void **state)
{
    static const char *const clients[] = {"203.0.113.1", "203.0.113.1", "192.0.2.1",
                                          "127.0.3.1", "203.0.113.1"};
    static const l7s_outcome_t expected[] = {L7S_OUTCOME_DENIED, L7S_OUTCOME_DENIED,
                                             L7S_OUTCOME_ADMITTED, L7S_OUTCOME_ADMITTED,
                                             L7S_OUTCOME_DENIED};
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "some", L7S_ACTION_DENY, 0, 0);
    l7s_memo_t memo = {0};

    fixture_match_client(fixture, &policy->match, "country:XA");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5; i++) {
        fixture_request_t request = fixture_request(clients[i], "GET", "a.test", "/");
        request.facts.memo = &memo;
        assert_int_equal(fixture_decide(fixture, &request).outcome, expected[i]);
    }
}

static void test_without_databases_nothing_comes_from_anywhere(void **state)
{
    fixture_t *fixture = *state;
    const l7s_geo_t *geo = fixture->shared.geo;
    l7s_policy_t *policy = fixture_policy(fixture, "some", L7S_ACTION_DENY, 0, 0);

    fixture_match_client(fixture, &policy->match, "country:XA asn:64500");
    fixture_list_of(fixture, "deny", L7S_LIST_COUNTRIES, L7S_EFFECT_DENY, "XA");
    fixture_compile(fixture);
    fixture->shared.geo = NULL;
    assert_int_equal(outcome(fixture, "203.0.113.1"), L7S_OUTCOME_ADMITTED);
    fixture->shared.geo = geo;
    assert_int_equal(outcome(fixture, "203.0.113.1"), L7S_OUTCOME_LISTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_geo_find_table),
        cmocka_unit_test(test_geo_add_what_is_no_database_is_refused_with_a_reason),
        cmocka_unit_test(test_geo_find_damaged_database_does_no_harm),
        cmocka_unit_test_setup(test_client_in_country_or_asn_matches, fixture_start),
        cmocka_unit_test_setup(test_image_without_origins_needs_none, fixture_start),
        cmocka_unit_test_setup(test_lists_of_countries_and_asns_allow_and_deny,
                               fixture_start),
        cmocka_unit_test_setup(test_count_by_asn_and_country_unknown_is_absent,
                               fixture_start),
        cmocka_unit_test_setup(test_ban_by_country_hits_the_country_only, fixture_start),
        cmocka_unit_test_setup(test_origin_is_remembered_for_its_client, fixture_start),
        cmocka_unit_test_setup(test_without_databases_nothing_comes_from_anywhere,
                               fixture_start),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
