/* SPDX-License-Identifier: Apache-2.0
 *
 * The event log: ids, positions, filters, retention, and who is told of a commit.
 */
#include "../../admin_api/store/event_log.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static void begin(stored_t *stored)
{
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
}

static void commit(stored_t *stored)
{
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
}

static void write_one(stored_t *stored, admin_event_type_t type, uint64_t at_ms)
{
    json_t *data = json_pack("{s:i}", "n", (int)at_ms);
    assert_int_equal(admin_event_write(stored->store, type, data, at_ms), L7S_OK);
    json_decref(data);
}

/* Events 1 to `count` at 1, 2, … ms, the odd ones bans. */
static void write_events(stored_t *stored, unsigned count)
{
    begin(stored);
    for (unsigned i = 1; i <= count; i++) {
        write_one(stored, i % 2 == 1 ? ADMIN_EVENT_BAN_ADDED : ADMIN_EVENT_NODE_LOST, i);
    }
    commit(stored);
}

typedef struct {
    char text[256];
    size_t room;
} seen_t;

static bool see(void *context, const admin_event_t *event)
{
    seen_t *seen = context;
    if (seen->room == 0) {
        return false;
    }
    seen->room--;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%lld:%s ",
             (long long)event->id, admin_event_type_name(event->type));
    return true;
}

static void test_event_types_by_name_and_by_group(void **state)
{
    (void)state;
    assert_int_equal(admin_event_types("ban.added"), 1u << ADMIN_EVENT_BAN_ADDED);
    assert_int_equal(admin_event_types("ban.*"),
                     1u << ADMIN_EVENT_BAN_ADDED | 1u << ADMIN_EVENT_BAN_LIFTED);
    static const char *const none[] = {"", "*", ".*", "ban", "ban.", "b.*", "ban.*x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(admin_event_types(none[i]), 0);
    }
}

static void test_event_each_goes_on_behind_a_position(void **state)
{
    stored_t *stored = *state;
    write_events(stored, 5);
    seen_t seen = {.room = 2};
    int64_t after = 1;
    bool more;
    assert_int_equal(
        admin_event_each(stored->store, ADMIN_EVENT_ALL, 10, &after, &more, see, &seen),
        L7S_OK);
    assert_string_equal(seen.text, "2:node.lost 3:ban.added ");
    assert_int_equal(after, 3);
    assert_true(more);
    seen = (seen_t){.room = 9};
    assert_int_equal(
        admin_event_each(stored->store, ADMIN_EVENT_ALL, 10, &after, &more, see, &seen),
        L7S_OK);
    assert_string_equal(seen.text, "4:node.lost 5:ban.added ");
    assert_false(more);
}

static void test_event_each_moves_over_what_the_filter_leaves_out(void **state)
{
    stored_t *stored = *state;
    write_events(stored, 5);
    seen_t seen = {.room = 9};
    int64_t after = 3;
    bool more;
    assert_int_equal(admin_event_each(stored->store, 1u << ADMIN_EVENT_MODE_CHANGED, 1,
                                      &after, &more, see, &seen),
                     L7S_OK);
    assert_string_equal(seen.text, "");
    assert_int_equal(after, 4);
    assert_true(more);
}

static void test_event_ids_grow_over_retention_and_restart(void **state)
{
    stored_t *stored = *state;
    int64_t first, last;
    size_t deleted;
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(first, 1);
    assert_int_equal(last, 0);
    write_events(stored, 5);
    begin(stored);
    assert_int_equal(admin_event_prune(stored->store, 100, 1000, &deleted), L7S_OK);
    commit(stored);
    assert_int_equal(deleted, 5);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(first, 6);
    assert_int_equal(last, 5);
    write_events(stored, 1);
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(first, 6);
    assert_int_equal(last, 6);
}

static void test_event_prune_by_age_and_by_rows(void **state)
{
    stored_t *stored = *state;
    int64_t first, last;
    size_t deleted;
    write_events(stored, 10);
    begin(stored);
    assert_int_equal(admin_event_prune(stored->store, 3, 100, &deleted), L7S_OK);
    assert_int_equal(deleted, 2);
    assert_int_equal(admin_event_prune(stored->store, 0, 4, &deleted), L7S_OK);
    assert_int_equal(deleted, 4);
    commit(stored);
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(first, 7);
    assert_int_equal(last, 10);
}

static void test_event_write_never_keeps_more_than_the_bound(void **state)
{
    stored_t *stored = *state;
    int64_t first, last;
    write_events(stored, ADMIN_EVENTS_MAX + 1000);
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_true(last - first < ADMIN_EVENTS_MAX + 256);
}

static void test_event_epoch_leaves_ids_of_a_lost_history_behind(void **state)
{
    stored_t *stored = *state;
    int64_t first, last;
    write_events(stored, 3);
    assert_int_equal(admin_store_raise_epoch(stored->store, 7), L7S_OK);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    write_events(stored, 1);
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(first, 1);
    assert_int_equal(last, 6000000001);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    assert_int_equal(admin_event_range(stored->store, &first, &last), L7S_OK);
    assert_int_equal(last, 6000000001);
}

static void count(void *context, admin_file_t file)
{
    (void)file;
    ++*(unsigned *)context;
}

static void test_store_listener_hears_of_events_that_were_committed(void **state)
{
    stored_t *stored = *state;
    unsigned heard = 0;
    admin_store_listen(stored->store, count, &heard);
    begin(stored);
    commit(stored);
    assert_int_equal(heard, 0);
    begin(stored);
    write_one(stored, ADMIN_EVENT_BAN_ADDED, 1);
    admin_store_rollback(stored->store, ADMIN_EVENTS_DB);
    begin(stored);
    commit(stored);
    assert_int_equal(heard, 0);
    write_events(stored, 2);
    assert_int_equal(heard, 1);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(heard, 2);
    admin_store_listen(stored->store, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_types_by_name_and_by_group),
        stored_test(test_event_each_goes_on_behind_a_position),
        stored_test(test_event_each_moves_over_what_the_filter_leaves_out),
        stored_test(test_event_ids_grow_over_retention_and_restart),
        stored_test(test_event_prune_by_age_and_by_rows),
        stored_test(test_event_write_never_keeps_more_than_the_bound),
        stored_test(test_event_epoch_leaves_ids_of_a_lost_history_behind),
        stored_test(test_store_listener_hears_of_events_that_were_committed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
