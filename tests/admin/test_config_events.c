/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions to events: each once, in order, whatever happens in between.
 */
#include "../../admin_api/events/config_events.h"
#include "../../admin_api/store/event_log.h"
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

static void revise(stored_t *stored, unsigned objects)
{
    admin_change_t changes[200];
    char names[200][16];
    int64_t revision;
    admin_origin_t by = {.author = "me", .reason = "why", .now_ms = 1800000000000};
    json_t *spec = json_pack("{s:i}", "n", (int)admin_store_revision(stored->store));
    for (unsigned i = 0; i < objects; i++) {
        snprintf(names[i], sizeof names[i], "p%u", i);
        changes[i] = (admin_change_t){.kind = "policy", .name = names[i], .spec = spec};
    }
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(
        admin_revision_write(stored->store, changes, objects, &by, &revision), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(spec);
}

typedef struct {
    json_int_t revisions[512];
    size_t count, changes;
    json_int_t change_count;
} told_t;

static bool see(void *context, const admin_event_t *event)
{
    told_t *told = context;
    json_t *data = json_loads(event->data, 0, NULL);
    assert_int_equal(event->type, ADMIN_EVENT_POLICY_CHANGED);
    told->revisions[told->count++] =
        json_integer_value(json_object_get(data, "revision"));
    told->changes = json_array_size(json_object_get(data, "changes"));
    told->change_count = json_integer_value(json_object_get(data, "change_count"));
    assert_string_equal(json_string_value(json_object_get(data, "author")), "me");
    json_decref(data);
    return true;
}

static told_t told(stored_t *stored)
{
    told_t told = {.count = 0};
    int64_t after = 0;
    bool more;
    assert_int_equal(
        admin_event_each(stored->store, ADMIN_EVENT_ALL, 512, &after, &more, see, &told),
        L7S_OK);
    return told;
}

static bool tell(stored_t *stored)
{
    bool more;
    assert_int_equal(admin_config_events_tell(stored->store, 1, &more), L7S_OK);
    return more;
}

static void test_config_events_tells_each_revision_once(void **state)
{
    stored_t *stored = *state;
    assert_int_equal(admin_config_events_begin(stored->store), L7S_OK);
    revise(stored, 1);
    revise(stored, 1);
    assert_false(tell(stored));
    assert_false(tell(stored));
    revise(stored, 2);
    admin_store_close(stored->store); /* killed before it was told */
    assert_true(stored_open(stored));
    assert_int_equal(admin_config_events_begin(stored->store), L7S_OK);
    assert_false(tell(stored));
    told_t seen = told(stored);
    assert_int_equal(seen.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(seen.revisions[i], i + 1);
    }
    assert_int_equal(seen.changes, 2);
}

static void test_config_events_catches_up_in_rounds(void **state)
{
    stored_t *stored = *state;
    assert_int_equal(admin_config_events_begin(stored->store), L7S_OK);
    for (unsigned i = 0; i < 150; i++) {
        revise(stored, 1);
    }
    assert_true(tell(stored));
    assert_int_equal(told(stored).count, 100);
    assert_false(tell(stored));
    assert_int_equal(told(stored).count, 150);
}

static void test_config_events_shows_no_more_than_100_changes(void **state)
{
    stored_t *stored = *state;
    assert_int_equal(admin_config_events_begin(stored->store), L7S_OK);
    revise(stored, 120);
    tell(stored);
    assert_int_equal(told(stored).changes, 100);
    assert_int_equal(told(stored).change_count, 120);
}

static void test_config_events_does_not_tell_what_was_before_it(void **state)
{
    stored_t *stored = *state;
    revise(stored, 1);
    assert_int_equal(admin_config_events_begin(stored->store), L7S_OK);
    tell(stored);
    assert_int_equal(told(stored).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_config_events_tells_each_revision_once),
        stored_test(test_config_events_catches_up_in_rounds),
        stored_test(test_config_events_shows_no_more_than_100_changes),
        stored_test(test_config_events_does_not_tell_what_was_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
