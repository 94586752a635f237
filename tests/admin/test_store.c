/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the store, its transactions, and what it refuses.
 */
#include "../../admin_api/store/store_events.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <sqlite3.h>
#include <string.h>

static void test_store_open_draws_epochs_once(void **state)
{
    stored_t *stored = *state;
    char epoch[17];
    snprintf(epoch, sizeof epoch, "%s", admin_store_bus_epoch(stored->store));
    assert_int_equal(strlen(epoch), 16);
    assert_int_equal(admin_store_config_epoch(stored->store), 1);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    assert_string_equal(admin_store_bus_epoch(stored->store), epoch);
}

static void test_store_open_twice_is_refused(void **state)
{
    stored_t *stored = *state;
    admin_store_t *second = NULL;
    char why[256] = "";
    assert_int_equal(admin_store_open(stored->folder, why, &second), L7S_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(why, "another l7shieldd"));
}

static void test_store_open_newer_file_is_refused_and_left_alone(void **state)
{
    stored_t *stored = *state;
    char path[128], why[256] = "";
    admin_store_close(stored->store);
    stored->store = NULL;
    snprintf(path, sizeof path, "%s/events.db", stored->folder);
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "PRAGMA user_version=99", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(database);
    assert_int_equal(admin_store_open(stored->folder, why, &stored->store), L7S_STALE);
    assert_non_null(strstr(why, "newer l7shieldd"));
}

static void test_store_rollback_leaves_nothing(void **state)
{
    stored_t *stored = *state;
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_number_set(stored->store, "n", 7), L7S_OK);
    /* This thread sees its own change. */
    assert_int_equal(admin_number_get(stored->store, "n", 0), 7);
    admin_store_rollback(stored->store, ADMIN_EVENTS_DB);
    assert_int_equal(admin_number_get(stored->store, "n", 0), 0);
}

static void test_store_commit_survives_reopening(void **state)
{
    stored_t *stored = *state;
    assert_int_equal(admin_store_begin_durable(stored->store), L7S_OK);
    assert_int_equal(admin_text_set(stored->store, "t", "text"), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    char *text = admin_text_get(stored->store, "t");
    assert_string_equal(text, "text");
    free(text);
    assert_null(admin_text_get(stored->store, "other"));
    assert_true(admin_store_writable(stored->store));
}

/* Anybody may ask whether the store can be written: that must not wait for each write. */
static void test_store_writable_asked_again_tries_no_files(void **state)
{
    stored_t *stored = *state;
    assert_true(admin_store_writable(stored->store));
    assert_int_equal(admin_store_begin_durable(stored->store), L7S_OK);
    assert_true(admin_store_writable(stored->store));
    admin_store_rollback(stored->store, ADMIN_EVENTS_DB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_store_open_draws_epochs_once),
        stored_test(test_store_open_twice_is_refused),
        stored_test(test_store_open_newer_file_is_refused_and_left_alone),
        stored_test(test_store_rollback_leaves_nothing),
        stored_test(test_store_commit_survives_reopening),
        stored_test(test_store_writable_asked_again_tries_no_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
