/* SPDX-License-Identifier: Apache-2.0
 *
 * Restored databases, interrupted at every step: the next to open the store finds all of
 * them, and what was there before is kept.
 */
#include "../../admin_api/store/replacement.h"
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
#include <unistd.h>

static char folder[64];

static void path_of(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
    char path[128];
    path_of(name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* "": it is not there. */
static void assert_text(const char *name, const char *expected)
{
    char path[128], text[32] = "";
    path_of(name, path);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    assert_string_equal(text, expected);
}

static void move(const char *from, const char *to)
{
    char old_path[128], new_path[128];
    path_of(from, old_path);
    path_of(to, new_path);
    assert_int_equal(rename(old_path, new_path), 0);
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/l7shield-replace-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    put("config.db", "old");
    put("config.db-wal", "old log");
    put("events.db", "old events");
    put("config.db.restored", "new");
    put("events.db.restored", "new events");
    return 0;
}

static int teardown(void **state)
{
    static const char *const stems[] = {"config.db", "events.db"};
    static const char *const ends[] = {"",
                                       "-wal",
                                       "-shm",
                                       ".restored",
                                       ".before-restore",
                                       ".before-restore-wal",
                                       ".before-restore-shm"};
    char name[64], path[128];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t end = 0; end < sizeof ends / sizeof *ends; end++) {
            snprintf(name, sizeof name, "%s%s", stems[i], ends[end]);
            path_of(name, path);
            (void)unlink(path);
        }
    }
    path_of("restore.pending", path);
    (void)unlink(path);
    return rmdir(folder);
}

static void finish(void)
{
    char why[256] = "";
    assert_int_equal(admin_replacement_finish(folder, why), L7S_OK);
}

static void assert_replaced(void)
{
    assert_text("config.db", "new");
    assert_text("config.db-wal", "");
    assert_text("events.db", "new events");
    assert_text("config.db.before-restore", "old");
    assert_text("config.db.before-restore-wal", "old log");
    assert_text("events.db.before-restore", "old events");
    assert_text("config.db.restored", "");
    assert_text("events.db.restored", "");
    assert_text("restore.pending", "");
}

static void test_replacement_finish_nothing_begun_changes_nothing(void **state)
{
    (void)state;
    finish();
    assert_text("config.db", "old");
    assert_text("config.db-wal", "old log");
    assert_text("events.db", "old events");
}

static void test_replacement_begin_keeps_what_is_there_until_finished(void **state)
{
    char why[256] = "";
    (void)state;
    put("events.db.before-restore-wal", "of an earlier restore");
    assert_int_equal(admin_replacement_begin(folder, why), L7S_OK);
    assert_text("config.db", "old");
    assert_text("events.db.before-restore-wal", "");
    finish();
    assert_replaced();
    finish(); /* once more: nothing is left to do */
    assert_replaced();
}

static void test_replacement_finish_after_each_interruption_is_whole(void **state)
{
    static const char *const steps[][2] = {
        {"config.db", "config.db.before-restore"},
        {"config.db-wal", "config.db.before-restore-wal"},
        {"config.db.restored", "config.db"},
        {"events.db", "events.db.before-restore"},
        {"events.db.restored", "events.db"},
    };
    char why[256] = "";
    for (size_t done = 0; done <= sizeof steps / sizeof *steps; done++) {
        assert_int_equal(admin_replacement_begin(folder, why), L7S_OK);
        for (size_t i = 0; i < done; i++) {
            move(steps[i][0], steps[i][1]);
        }
        finish();
        assert_replaced();
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static void test_replacement_begin_folder_gone_says_which(void **state)
{
    char why[256] = "";
    (void)state;
    assert_int_equal(admin_replacement_begin("/nowhere/at/all", why), L7S_IO);
    assert_non_null(strstr(why, "/nowhere/at/all"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_replacement_finish_nothing_begun_changes_nothing),
        TEST(test_replacement_begin_keeps_what_is_there_until_finished),
        TEST(test_replacement_finish_after_each_interruption_is_whole),
        TEST(test_replacement_begin_folder_gone_says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
