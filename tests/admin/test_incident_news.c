/* SPDX-License-Identifier: Apache-2.0
 *
 * Which changes of an incident record are events.
 */
#include "../../admin_api/fleet/incident_news.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

#define T0 ((uint64_t)1800000000000)

static json_t *record(const char *kind, const char *state, int requests,
                      const char *severity)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:{s:i}, s:{}}", "id", "inc_1", "kind", kind,
                     "state", state, "severity", severity, "counts", "requests", requests,
                     "_reports");
}

static bool see(void *context, const admin_event_t *event)
{
    strcat(context, admin_event_type_name(event->type));
    strcat(context, " ");
    assert_null(strstr(event->data, "_reports"));
    assert_null(strstr(event->data, "_told_ms"));
    return true;
}

/* The events of this change, as one text. */
static char *told(stored_t *stored, const json_t *before, json_t *after, uint64_t now_ms)
{
    static char text[256];
    int64_t first, last;
    bool more;
    text[0] = '\0';
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_incident_tell(stored->store, before, after, now_ms), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(
        admin_event_each(stored->store, ADMIN_EVENT_ALL, 10, &last, &more, see, text),
        L7S_OK);
    return text;
}

static void test_incident_tell_opened_and_ended(void **state)
{
    json_t *open = record("rate", "active", 10, "low");
    json_t *ended = record("rate", "ended", 20, "low");
    assert_string_equal(told(*state, NULL, open, T0), "incident.opened ");
    assert_string_equal(told(*state, open, ended, T0 + 1), "incident.ended ");
    assert_string_equal(told(*state, ended, ended, T0 + 9000), "");
    assert_string_equal(told(*state, NULL, ended, T0), "incident.opened incident.ended ");
    json_decref(open);
    json_decref(ended);
}

static void test_incident_tell_guard_that_tripped(void **state)
{
    json_t *open = record("guard_tripped", "active", 0, "high");
    assert_string_equal(told(*state, NULL, open, T0), "incident.opened guard.tripped ");
    json_decref(open);
}

static void test_incident_tell_counts_now_and_then_only(void **state)
{
    json_t *open = record("rate", "active", 10, "low");
    assert_string_equal(told(*state, NULL, open, T0), "incident.opened ");
    json_t *more = json_deep_copy(open);
    json_object_set_new(json_object_get(more, "counts"), "requests", json_integer(11));
    assert_string_equal(told(*state, open, more, T0 + 4999), "");
    assert_string_equal(told(*state, open, more, T0 + 5000), "incident.updated ");
    json_t *most = json_deep_copy(more);
    json_object_set_new(json_object_get(most, "counts"), "requests", json_integer(12));
    assert_string_equal(told(*state, more, most, T0 + 9000), "");
    json_decref(open);
    json_decref(more);
    json_decref(most);
}

static void test_incident_tell_what_is_new_at_once(void **state)
{
    static const char *const members[] = {"severity", "note", "kind", "ack", "labels"};
    json_t *open = record("rate", "active", 10, "low");
    assert_string_equal(told(*state, NULL, open, T0), "incident.opened ");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        json_t *after = json_deep_copy(open);
        json_object_set_new(after, members[i], json_string("other"));
        assert_string_equal(told(*state, open, after, T0 + 1), "incident.updated ");
        json_decref(after);
    }
    json_decref(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_incident_tell_opened_and_ended),
        stored_test(test_incident_tell_guard_that_tripped),
        stored_test(test_incident_tell_counts_now_and_then_only),
        stored_test(test_incident_tell_what_is_new_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
