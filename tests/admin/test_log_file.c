/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs by a path below a folder: nothing leads out of it, and nothing in it waits.
 */
#include "../../admin_api/backtest/log_file.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FOLDER/outside, and FOLDER/logs with a log, a folder, a pipe and ways out. */
static char folder[64], logs[80];
static const char *const made[] = {
    "outside",   "logs/access.log", "logs/old/access.log", "logs/pipe",
    "logs/link", "logs/way",        "logs/self.log",       NULL};

static void path_of(const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", folder, name);
}

static void make_file(const char *name)
{
    char path[256];
    path_of(name, path);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
}

static int setup(void **state)
{
    char path[256], outside[256];
    (void)state;
    strcpy(folder, "/tmp/l7shield-logs-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(logs, sizeof logs, "%s/logs", folder);
    path_of("logs/old", path);
    assert_int_equal(mkdir(logs, 0700) + mkdir(path, 0700), 0);
    make_file("outside");
    make_file("logs/access.log");
    make_file("logs/old/access.log");
    path_of("logs/pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of("outside", outside);
    path_of("logs/link", path);
    assert_int_equal(symlink(outside, path), 0);
    path_of("logs/way", path);
    assert_int_equal(symlink(folder, path), 0);
    path_of("logs/self.log", path);
    return symlink("access.log", path);
}

static int teardown(void **state)
{
    char path[256];
    (void)state;
    for (size_t i = 0; made[i] != NULL; i++) {
        path_of(made[i], path);
        unlink(path);
    }
    path_of("logs/old", path);
    return rmdir(path) + rmdir(logs) + rmdir(folder);
}

static void test_log_file_below_the_folder_is_opened(void **state)
{
    static const char *const names[] = {"access.log", "old/access.log"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int fd = admin_log_file_open(logs, names[i]);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(admin_log_file_open(logs, "none.log"), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_log_file_elsewhere_is_not(void **state)
{
    char absolute[256], longest[300];
    (void)state;
    path_of("outside", absolute);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const names[] = {
        "",     "/",           ".",    "..",          "../outside",   "old/../../outside",
        "link", "way/outside", "way",  "self.log",    "./access.log", "old//access.log",
        "old/", "old",         "pipe", "/access.log", absolute,       longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        errno = 0;
        assert_int_equal(admin_log_file_open(logs, names[i]), -1);
        assert_true(errno == EACCES || errno == ENOTDIR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_file_below_the_folder_is_opened, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_log_file_elsewhere_is_not, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
