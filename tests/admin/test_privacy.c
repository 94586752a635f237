/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left of addresses in documents.
 */
#include "../../admin_api/store/privacy.h"
#include "../../admin_api/store/store_objects.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <stdlib.h>
#include <string.h>

/* The text after the rules were applied; one static buffer. */
static const char *shown(admin_privacy_t privacy, const char *text)
{
    static char out[128];
    json_t *document = json_pack("{s:[{s:s}]}", "a", "b", text);
    assert_true(admin_privacy_apply(&privacy, document));
    const json_t *inner = json_array_get(json_object_get(document, "a"), 0);
    snprintf(out, sizeof out, "%s", json_string_value(json_object_get(inner, "b")));
    json_decref(document);
    return out;
}

static void test_privacy_truncates_addresses_networks_and_ban_ids(void **state)
{
    static const char *const cases[][2] = {
        {"203.0.113.7", "203.0.113.0/24"},
        {"203.0.113.128/25", "203.0.113.0/24"},
        {"203.0.0.0/16", "203.0.0.0/16"},
        {"2001:db8:1:2::", "2001:db8:1::/48"},
        {"2001:db8:1:2::/64", "2001:db8:1::/48"},
        {"::ffff:203.0.113.7", "203.0.113.0/24"},
        {"ip:203.0.113.7", "net:203.0.113.0_24"},
        {"net:203.0.113.0_28", "net:203.0.113.0_24"},
        {"ip:2001:db8:1:2::", "net:2001:db8:1::_48"},
        {"www.example.com", "www.example.com"},
        {"ip:", "ip:"},
        {"127.0.0.1:11211", "127.0.0.1:11211"},
        {"203", "203"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_privacy_t privacy = {.addresses = ADMIN_ADDRESSES_TRUNCATED};
        assert_string_equal(shown(privacy, cases[i][0]), cases[i][1]);
    }
}

static void test_privacy_pseudonyms_are_stable_and_differ_by_key(void **state)
{
    (void)state;
    char first[128];
    admin_privacy_t privacy = {.addresses = ADMIN_ADDRESSES_PSEUDONYM, .key = {1, 2}};
    snprintf(first, sizeof first, "%s", shown(privacy, "203.0.113.7"));
    assert_int_equal(strlen(first), 24);
    assert_memory_equal(first, "p:", 2);
    assert_string_equal(shown(privacy, "203.0.113.7/32"), first);
    assert_string_not_equal(shown(privacy, "203.0.113.8"), first);
    assert_string_equal(shown(privacy, "ip:203.0.113.7") + 3, first);
    privacy.key.k0 = 9;
    assert_string_not_equal(shown(privacy, "203.0.113.7"), first);
}

static void test_privacy_full_changes_nothing(void **state)
{
    (void)state;
    assert_string_equal(shown((admin_privacy_t){0}, "203.0.113.7"), "203.0.113.7");
}

/* One sample with a query, and a list's document in which "query" means something else.
 */
static json_t *with_query(void)
{
    return json_pack("{s:[{s:s, s:s}], s:{s:[{s:s}]}}", "samples", "path", "/a", "query",
                     "token=1", "match", "query", "name", "q");
}

static void test_privacy_omits_the_queries_of_samples_and_no_others(void **state)
{
    (void)state;
    for (unsigned shown = 0; shown < 2; shown++) {
        admin_privacy_t privacy = {.queries = shown};
        json_t *document = json_pack("{s:[o]}", "items", with_query());
        assert_true(admin_privacy_apply(&privacy, document));
        char *text = json_dumps(document, JSON_COMPACT);
        assert_int_equal(strstr(text, "token=1") != NULL, shown);
        assert_non_null(strstr(text, "\"path\":\"/a\""));
        assert_non_null(strstr(text, "\"query\":[{\"name\":\"q\"}]"));
        free(text);
        json_decref(document);
    }
}

static void test_privacy_concerns_what_may_hold_something_to_hide(void **state)
{
    (void)state;
    admin_privacy_t privacy = {.queries = true};
    json_t *document = with_query();
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    assert_false(admin_privacy_concerns(&privacy, text));
    privacy.queries = false;
    assert_true(admin_privacy_concerns(&privacy, text));
    assert_false(admin_privacy_concerns(&privacy, "{\"path\":\"/a\"}"));
    privacy.addresses = ADMIN_ADDRESSES_TRUNCATED;
    assert_true(admin_privacy_concerns(&privacy, "{\"path\":\"/a\"}"));
    free(text);
}

static void put_settings(stored_t *stored, const char *addresses, const char *queries)
{
    int64_t revision;
    admin_origin_t by = {.author = "me", .reason = "", .now_ms = 1};
    json_t *spec = json_pack("{s:{s:s, s:s}}", "privacy", "addresses", addresses,
                             "query_strings", queries);
    admin_change_t change = {.kind = "settings", .name = "settings", .spec = spec};
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_revision_write(stored->store, &change, 1, &by, &revision),
                     L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(spec);
}

static void test_privacy_read_follows_the_settings_and_keeps_its_key(void **state)
{
    stored_t *stored = *state;
    admin_privacy_t first, again;
    assert_int_equal(admin_privacy_begin(stored->store), L7S_OK);
    assert_int_equal(admin_privacy_read(stored->store, &first), L7S_OK);
    assert_int_equal(first.addresses, ADMIN_ADDRESSES_FULL);
    assert_false(first.queries);
    put_settings(stored, "pseudonym", "include");
    assert_int_equal(admin_privacy_read(stored->store, &first), L7S_OK);
    assert_int_equal(first.addresses, ADMIN_ADDRESSES_PSEUDONYM);
    assert_true(first.queries);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    assert_int_equal(admin_privacy_begin(stored->store), L7S_OK);
    assert_int_equal(admin_privacy_read(stored->store, &again), L7S_OK);
    assert_memory_equal(&first, &again, sizeof first);
    put_settings(stored, "truncated", "omit");
    assert_int_equal(admin_privacy_read(stored->store, &first), L7S_OK);
    assert_int_equal(first.addresses, ADMIN_ADDRESSES_TRUNCATED);
    assert_false(first.queries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privacy_truncates_addresses_networks_and_ban_ids),
        cmocka_unit_test(test_privacy_pseudonyms_are_stable_and_differ_by_key),
        cmocka_unit_test(test_privacy_full_changes_nothing),
        cmocka_unit_test(test_privacy_omits_the_queries_of_samples_and_no_others),
        cmocka_unit_test(test_privacy_concerns_what_may_hold_something_to_hide),
        stored_test(test_privacy_read_follows_the_settings_and_keeps_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
