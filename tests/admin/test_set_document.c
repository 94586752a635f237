/* SPDX-License-Identifier: Apache-2.0
 *
 * A set comes back as it was sent, from the objects that it owns.
 */
#include "../../admin_api/resources/set_document.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static const char *const sent =
    "{\"policies\":[{\"name\":\"b\",\"mode\":\"off\"},{\"name\":\"a\",\"status\":{}}],"
    "\"status\":{\"revision\":3},\"lists\":["
    "{\"name\":\"seeded\",\"entries\":[{\"value\":\"x\"}],\"effect\":\"deny\"},"
    "{\"name\":\"bare\"},"
    "{\"name\":\"owned\",\"entries_from\":\"set\",\"entries\":[{\"value\":\"y\"}]}]}";
static const char *const normal =
    "{\"name\":\"web\",\"policies\":[{\"name\":\"b\",\"mode\":\"off\"},{\"name\":\"a\"}],"
    "\"lists\":["
    "{\"name\":\"seeded\",\"entries\":[{\"value\":\"x\"}],\"effect\":\"deny\"},"
    "{\"name\":\"bare\"},"
    "{\"name\":\"owned\",\"entries_from\":\"set\",\"entries\":[{\"value\":\"y\"}]}]}";
static const char *const manifest =
    "{\"name\":\"web\",\"policies\":[\"b\",\"a\"],\"lists\":["
    "{\"name\":\"seeded\",\"entries\":[{\"value\":\"x\"}]},\"bare\",\"owned\"]}";

static void expect(json_t *document, const char *expected)
{
    char *text = json_dumps(document, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(document);
}

static void test_set_normal_and_manifest(void **state)
{
    json_t *body = json_loads(sent, 0, NULL);
    json_t *document = admin_set_normal(body, "web");

    (void)state;
    expect(json_incref(document), normal);
    expect(admin_set_manifest(document), manifest);
    json_decref(document);
    json_decref(body);
}

static void store_one(stored_t *stored, const char *kind, const char *name,
                      const char *spec, const char *owner)
{
    const admin_origin_t origin = {.author = "test", .now_ms = 1000};
    admin_change_t change = {.kind = kind, .name = name, .owner = owner};
    int64_t revision;
    change.spec = spec == NULL ? NULL : json_loads(spec, 0, NULL);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_revision_write(stored->store, &change, 1, &origin, &revision),
                     L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(change.spec);
}

static json_t *assemble(stored_t *stored, admin_set_state_t *state)
{
    admin_object_t set;
    assert_int_equal(admin_object_get(stored->store, "set", "web", &set), L7S_OK);
    json_t *document = admin_set_assemble(stored->store, &set, state);
    admin_object_clear(&set);
    return document;
}

/* Whatever operators did with the entries that are theirs. */
static void test_set_assemble_gives_back_what_was_sent(void **state)
{
    stored_t *stored = *state;
    admin_set_state_t found;
    store_one(stored, "set", "web", manifest, NULL);
    store_one(stored, "policy", "b", "{\"name\":\"b\",\"mode\":\"off\"}", "web");
    store_one(stored, "policy", "a", "{\"name\":\"a\"}", "web");
    store_one(stored, "list", "seeded",
              "{\"name\":\"seeded\",\"entries\":[{\"value\":\"z\"}],\"effect\":\"deny\"}",
              "web");
    store_one(stored, "list", "bare",
              "{\"name\":\"bare\",\"entries\":[{\"value\":\"z\"}]}", "web");
    store_one(
        stored, "list", "owned",
        "{\"name\":\"owned\",\"entries_from\":\"set\",\"entries\":[{\"value\":\"y\"}]}",
        "web");
    expect(assemble(stored, &found), normal);
    assert_int_equal(found.objects, 5);
    assert_int_equal(found.revision, 6);
}

static void test_set_assemble_without_what_it_does_not_own(void **state)
{
    stored_t *stored = *state;
    admin_set_state_t found;
    store_one(stored, "set", "web", "{\"name\":\"web\",\"policies\":[\"b\",\"a\",\"c\"]}",
              NULL);
    store_one(stored, "policy", "a", "{\"name\":\"a\"}", "other");
    store_one(stored, "policy", "b", "{\"name\":\"b\"}", NULL);
    store_one(stored, "policy", "c", "{\"name\":\"c\"}", "web");
    expect(assemble(stored, &found),
           "{\"name\":\"web\",\"policies\":[{\"name\":\"c\"}]}");
    store_one(stored, "policy", "c", NULL, NULL);
    expect(assemble(stored, &found), "{\"name\":\"web\",\"policies\":[]}");
    assert_int_equal(found.objects, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_normal_and_manifest),
        stored_test(test_set_assemble_gives_back_what_was_sent),
        stored_test(test_set_assemble_without_what_it_does_not_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
