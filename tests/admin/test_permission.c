/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may change an object that a set owns.
 */
#include "../../admin_api/resources/permission.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

/* A policy and a list of the set "web", and a policy of nobody. */
static void fill(stored_t *stored)
{
    const admin_origin_t origin = {.author = "test", .set = "web", .now_ms = 1000};
    json_t *spec = json_pack("{s:s}", "name", "x");
    admin_change_t changes[] = {
        {.kind = "policy", .name = "owned", .spec = spec, .owner = "web"},
        {.kind = "list", .name = "owned", .spec = spec, .owner = "web"},
        {.kind = "policy", .name = "free", .spec = spec},
        {.kind = "set", .name = "web", .spec = spec}};
    int64_t revision;
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_revision_write(stored->store, changes, 4, &origin, &revision),
                     L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(spec);
}

/* The code of the refusal, "" when there is none. */
static const char *ask(stored_t *stored, admin_call_t call, admin_change_t change)
{
    admin_daemon_t daemon = {.store = stored->store};
    call.daemon = &daemon;
    call.principal = "test";
    bool allowed = admin_permission_check(&call, &change, 1);
    assert_true(allowed == (call.code == NULL));
    return call.code == NULL ? "" : call.code;
}

static void test_permission_by_owner_set_and_force(void **state)
{
    static const struct {
        const char *kind, *name, *set;
        bool force, entries_only;
        const char *code;
    } cases[] = {
        {"policy", "free", NULL, false, false, ""},
        {"policy", "new", NULL, false, false, ""},
        {"policy", "owned", NULL, false, false, "owned_by_set"},
        {"policy", "owned", NULL, true, false, ""},
        {"policy", "owned", "web", false, false, ""},
        {"policy", "owned", "other", false, false, "owned_by_set"},
        {"policy", "owned", "other", true, false, "owned_by_set"}, /* not even by force */
        {"policy", "free", "other", false, false, ""},
        {"list", "owned", NULL, false, false, "owned_by_set"},
        {"list", "owned", NULL, false, true, ""}, /* entries are the operators' */
        {"override", "owned", NULL, false, false, ""},
        {"set", "web", NULL, false, false, "owned_by_set"},
        {"set", "web", "web", false, false, ""},
        {"settings", "settings", NULL, false, false, ""},
    };
    fill(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_call_t call = {.set = cases[i].set, .force = cases[i].force};
        admin_change_t change = {.kind = cases[i].kind,
                                 .name = cases[i].name,
                                 .entries_only = cases[i].entries_only};
        assert_string_equal(ask(*state, call, change), cases[i].code);
    }
}

static void test_permission_of_a_token_bound_to_a_set(void **state)
{
    static const struct {
        const char *kind, *name, *owner, *code;
    } cases[] = {
        {"policy", "owned", NULL, ""},
        {"policy", "owned", "other", "forbidden"}, /* out of its set */
        {"policy", "free", NULL, "forbidden"},
        {"policy", "free", "web", "forbidden"}, /* into its set */
        {"policy", "new", "web", ""},
        {"policy", "new", NULL, "forbidden"},
        {"override", "owned", NULL, ""},
        {"override", "free", NULL, "forbidden"},
    };
    json_t *bounds = json_pack("{s:[s]}", "sets", "web");
    json_t *spec = json_pack("{s:s}", "name", "x");
    fill(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_call_t call = {.bounds = bounds, .force = true};
        admin_change_t change = {.kind = cases[i].kind,
                                 .name = cases[i].name,
                                 .spec = spec,
                                 .owner = cases[i].owner};
        assert_string_equal(ask(*state, call, change), cases[i].code);
    }
    json_decref(spec);
    json_decref(bounds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_permission_by_owner_set_and_force),
        stored_test(test_permission_of_a_token_bound_to_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
