/* SPDX-License-Identifier: Apache-2.0
 *
 * The state folder: one process at a time writes there.
 */
#include "../../mod_l7shield/sync/file.h"
#include "../../mod_l7shield/sync/state_dir.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static void test_state_dir_of_another_process_is_not_written_until_it_goes(void **state)
{
    (void)state;
    char folder[] = "/tmp/l7s-state-XXXXXX", path[64];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    int other = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);

    assert_false(sync_state_dir_take(folder));
    assert_int_equal(sync_file_write(path, "x", 1), L7S_IO);
    assert_int_equal(errno, EBUSY);
    assert_int_not_equal(access(path, F_OK), 0);

    close(other);
    assert_int_equal(sync_file_write(path, "x", 1), L7S_OK);
    other = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_not_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_state_dir_that_is_not_there_is_in_nobodys_way(void **state)
{
    (void)state;
    assert_true(sync_state_dir_take("/tmp/l7s-no-such-folder"));
    assert_true(sync_state_dir_is_ours());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_dir_of_another_process_is_not_written_until_it_goes),
        cmocka_unit_test(test_state_dir_that_is_not_there_is_in_nobodys_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
