/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan tells, and what it hands over to be committed.
 */
#include "../../admin_api/resources/change_plan.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- in the place of edit.c -- */

static char committed[1024];
static unsigned aborts;

bool admin_edit_commit(admin_call_t *call, const admin_change_t *changes, size_t count)
{
    (void)call;
    committed[0] = '\0';
    for (size_t i = 0; i < count && i < 16; i++) {
        size_t used = strlen(committed);
        snprintf(committed + used, sizeof committed - used, "%s %s%s %s;",
                 changes[i].spec == NULL ? "delete" : "put", changes[i].kind,
                 changes[i].name, changes[i].owner == NULL ? "-" : changes[i].owner);
    }
    return true;
}

void admin_edit_abort(admin_call_t *call)
{
    (void)call;
    aborts++;
}

/* -- the tests -- */

static json_t *spec(int n)
{
    return json_pack("{s:i}", "n", n);
}

static admin_object_t object(int n, const char *owner)
{
    admin_object_t out = {.spec = n == 0 ? NULL : spec(n)};
    snprintf(out.owner, sizeof out.owner, "%s", owner);
    return out;
}

static void test_plan_tells_what_is_created_updated_deleted_and_stays(void **state)
{
    static const struct {
        const char *name;
        int before, after;
        const char *was, *owner;
    } cases[] = {{"/new", 0, 1, "", "web"},    {"/other", 1, 2, "web", "web"},
                 {"/gone", 1, 0, "web", NULL}, {"/same", 1, 1, "web", "web"},
                 {"/kept", 1, 1, "web", NULL}, {"/taken", 1, 1, "", "web"}};
    admin_plan_t *plan = admin_plan_create(true);
    admin_call_t call = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_object_t before = object(cases[i].before, cases[i].was);
        admin_plan_add(plan, "policy", cases[i].name, &before,
                       cases[i].after == 0 ? NULL : spec(cases[i].after), cases[i].owner);
        admin_object_clear(&before);
    }
    json_t *document = admin_plan_document(plan);
    char *text = json_dumps(document, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"created\":[\"policies//new\"],\"updated\":[\"policies//other\","
        "\"policies//taken\"],\"deleted\":[\"policies//gone\"],"
        "\"unchanged\":[\"policies//same\",\"policies//kept\"],\"differences\":["
        "{\"kind\":\"policy\",\"name\":\"/new\",\"op\":\"create\",\"differences\":[]},"
        "{\"kind\":\"policy\",\"name\":\"/other\",\"op\":\"update\",\"differences\":"
        "[{\"pointer\":\"/n\",\"op\":\"replace\",\"from\":1,\"to\":2}]},"
        "{\"kind\":\"policy\",\"name\":\"/gone\",\"op\":\"delete\",\"differences\":[]},"
        "{\"kind\":\"policy\",\"name\":\"/taken\",\"op\":\"update\",\"differences\":[]}]}");
    assert_true(admin_plan_commit(&call, plan));
    assert_string_equal(committed, "put policy/new web;put policy/other web;"
                                   "delete policy/gone -;put policy/taken web;");
    free(text);
    json_decref(document);
    admin_plan_free(plan);
}

static void test_plan_silent_changes_are_committed_and_not_told(void **state)
{
    admin_plan_t *plan = admin_plan_create(false);
    admin_object_t before = object(1, "");
    admin_call_t call = {0};

    (void)state;
    admin_plan_add_silent(plan, "set", "/web", &before, spec(2), NULL);
    admin_plan_add_silent(plan, "set", "/same", &before, spec(1), NULL);
    json_t *document = admin_plan_document(plan);
    assert_int_equal(json_array_size(json_object_get(document, "updated")), 0);
    assert_null(json_object_get(document, "differences"));
    assert_true(admin_plan_commit(&call, plan));
    assert_string_equal(committed, "put set/web -;");
    json_decref(document);
    admin_object_clear(&before);
    admin_plan_free(plan);
}

static void test_plan_of_too_many_changes_is_refused_as_a_whole(void **state)
{
    admin_plan_t *plan = admin_plan_create(false);
    admin_object_t before = object(0, "");
    admin_call_t call = {0};

    (void)state;
    for (int i = 0; i <= 5 * 1024 * 2; i++) {
        admin_plan_add(plan, "policy", "x", &before, spec(1), NULL);
    }
    aborts = 0;
    assert_false(admin_plan_commit(&call, plan));
    assert_string_equal(call.code, "too_many");
    assert_int_equal(aborts, 1);
    admin_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_tells_what_is_created_updated_deleted_and_stays),
        cmocka_unit_test(test_plan_silent_changes_are_committed_and_not_told),
        cmocka_unit_test(test_plan_of_too_many_changes_is_refused_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
