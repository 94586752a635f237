/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects and their history: any kept revision can be put together again, and what is
 * forgotten is forgotten without a hole.
 */
#include "../../admin_api/store/store_objects.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

/* One change in one revision; `value` < 0 deletes. */
static int64_t change(stored_t *stored, const char *name, int value)
{
    json_t *spec = value < 0 ? NULL : json_pack("{s:s, s:i}", "name", name, "n", value);
    admin_change_t one = {.kind = "policy", .name = name, .spec = spec};
    const admin_origin_t origin = {.author = "test", .now_ms = 1000};
    int64_t revision = 0;
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_revision_write(stored->store, &one, 1, &origin, &revision),
                     L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(spec);
    return revision;
}

/* "a=1 b=2 " of a configuration; steals it. */
static void summary(json_t *document, char out[256])
{
    size_t index, used = 0;
    json_t *policy;
    out[0] = '\0';
    json_array_foreach(json_object_get(document, "policies"), index, policy)
    {
        used += (size_t)snprintf(out + used, 256 - used, "%s=%d ",
                                 json_string_value(json_object_get(policy, "name")),
                                 (int)json_integer_value(json_object_get(policy, "n")));
    }
    json_decref(document);
}

static void test_config_at_every_revision_is_what_it_was(void **state)
{
    stored_t *stored = *state;
    static const char *const expected[] = {"a=1 ", "a=1 b=2 ", "a=3 b=2 ", "b=2 ",
                                           "a=5 b=2 "};
    change(stored, "a", 1);
    change(stored, "b", 2);
    change(stored, "a", 3);
    change(stored, "a", -1);
    change(stored, "a", 5);
    char text[256];
    for (int revision = 1; revision <= 5; revision++) {
        summary(admin_config_at(stored->store, revision), text);
        assert_string_equal(text, expected[revision - 1]);
    }
    assert_null(admin_config_at(stored->store, 6));
    assert_null(admin_config_at(stored->store, 0));
    int64_t revision;
    summary(admin_config_document(stored->store, &revision), text);
    assert_string_equal(text, expected[4]);
    assert_int_equal(revision, 5);
}

static void test_revision_get_tells_ops_and_differences(void **state)
{
    stored_t *stored = *state;
    change(stored, "a", 1);
    change(stored, "a", 2);
    change(stored, "a", -1);
    static const char *const ops[] = {"create", "update", "delete"};
    for (int revision = 1; revision <= 3; revision++) {
        json_t *found = admin_revision_get(stored->store, revision);
        const json_t *one = json_array_get(json_object_get(found, "changes"), 0);
        assert_string_equal(json_string_value(json_object_get(one, "op")),
                            ops[revision - 1]);
        assert_int_equal(json_array_size(json_object_get(one, "differences")),
                         revision == 2);
        json_decref(found);
    }
    assert_null(admin_revision_get(stored->store, 4));
}

static void test_history_beyond_a_thousand_is_pruned_without_a_hole(void **state)
{
    stored_t *stored = *state;
    change(stored, "old", 7); /* never changed again: the base of everything after it */
    for (int i = 0; i < 1010; i++) {
        change(stored, "busy", i);
    }
    char text[256];
    assert_null(admin_config_at(stored->store, 1));
    assert_null(admin_config_at(stored->store, 11));
    summary(admin_config_at(stored->store, 12), text);
    assert_string_equal(text, "busy=10 old=7 ");
    summary(admin_config_at(stored->store, 1011), text);
    assert_string_equal(text, "busy=1009 old=7 ");
    json_t *list = admin_revision_list(stored->store, 0, 5000);
    assert_int_equal(json_array_size(list), 1000);
    json_decref(list);
}

static void test_object_etag_depends_on_the_text_alone(void **state)
{
    stored_t *stored = *state;
    admin_object_t first, second;
    change(stored, "a", 1);
    assert_int_equal(admin_object_get(stored->store, "policy", "a", &first), L7S_OK);
    change(stored, "a", 2);
    change(stored, "a", 1);
    assert_int_equal(admin_object_get(stored->store, "policy", "a", &second), L7S_OK);
    assert_string_equal(first.etag, second.etag);
    assert_int_equal(second.revision, 3);
    admin_object_clear(&first);
    admin_object_clear(&second);
    assert_int_equal(admin_object_get(stored->store, "list", "a", &first), L7S_NOT_FOUND);
}

static l7s_status_t write_owned(stored_t *stored, const admin_change_t *changes,
                                size_t count, const char *set)
{
    const admin_origin_t origin = {.author = "test", .set = set, .now_ms = 1000};
    int64_t revision;
    l7s_status_t status = admin_store_begin(stored->store, ADMIN_CONFIG_DB);
    if (status == L7S_OK) {
        status = admin_revision_write(stored->store, changes, count, &origin, &revision);
    }
    return status == L7S_OK ? admin_store_commit(stored->store, ADMIN_CONFIG_DB) : status;
}

static void test_object_owner_stays_until_somebody_says_another(void **state)
{
    stored_t *stored = *state;
    json_t *spec = json_pack("{s:i}", "n", 1);
    char owner[64];
    admin_change_t changes[] = {
        {.kind = "policy", .name = "b", .spec = spec, .owner = "web"},
        {.kind = "list", .name = "a", .spec = spec, .owner = "web"},
        {.kind = "policy", .name = "c", .spec = spec}};
    assert_int_equal(write_owned(stored, changes, 3, "web"), L7S_OK);
    changes[0].owner = NULL;
    assert_int_equal(write_owned(stored, changes, 1, NULL), L7S_OK);
    assert_int_equal(admin_object_owner(stored->store, "policy", "b", owner), L7S_OK);
    assert_string_equal(owner, "web");
    assert_int_equal(admin_object_owner(stored->store, "policy", "c", owner), L7S_OK);
    assert_string_equal(owner, "");
    json_t *owned = admin_objects_owned(stored->store, "web");
    char *text = json_dumps(owned, JSON_COMPACT);
    assert_string_equal(text, "[{\"kind\":\"list\",\"name\":\"a\"},"
                              "{\"kind\":\"policy\",\"name\":\"b\"}]");
    free(text);
    json_decref(owned);
    changes[0].owner = "";
    assert_int_equal(write_owned(stored, changes, 1, NULL), L7S_OK);
    assert_int_equal(admin_object_owner(stored->store, "policy", "b", owner), L7S_OK);
    assert_string_equal(owner, "");
    json_t *none = admin_objects_owned(stored->store, "");
    assert_int_equal(json_array_size(none), 0);
    json_decref(none);
    json_decref(spec);
}

static void test_revision_names_the_set(void **state)
{
    stored_t *stored = *state;
    json_t *spec = json_pack("{s:s, s:[s]}", "name", "web", "policies", "a");
    admin_change_t change = {.kind = "set", .name = "web", .spec = spec};
    assert_int_equal(write_owned(stored, &change, 1, "web"), L7S_OK);
    json_t *found = admin_revision_get(stored->store, 1);
    assert_string_equal(json_string_value(json_object_get(found, "set")), "web");
    json_decref(found);
    /* A set is part of a revision, but nothing that a node reads. */
    int64_t revision;
    json_t *then = admin_config_at(stored->store, 1);
    json_t *now = admin_config_document(stored->store, &revision);
    assert_int_equal(json_array_size(json_object_get(then, "sets")), 1);
    assert_null(json_object_get(now, "sets"));
    json_decref(then);
    json_decref(now);
    json_decref(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_config_at_every_revision_is_what_it_was),
        stored_test(test_revision_get_tells_ops_and_differences),
        stored_test(test_history_beyond_a_thousand_is_pruned_without_a_hole),
        stored_test(test_object_etag_depends_on_the_text_alone),
        stored_test(test_object_owner_stays_until_somebody_says_another),
        stored_test(test_revision_names_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
