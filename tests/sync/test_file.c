/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the state folder: whole or not at all, bounded, watched.
 */
#include "../../mod_l7shield/sync/file.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char folder[64], path[128], temporary[160];
} place_t;

static int make_place(void **state)
{
    place_t *place = calloc(1, sizeof *place);

    strcpy(place->folder, "/tmp/l7s-file-XXXXXX");
    if (mkdtemp(place->folder) == NULL) {
        return -1;
    }
    snprintf(place->path, sizeof place->path, "%s/file", place->folder);
    snprintf(place->temporary, sizeof place->temporary, "%s.new", place->path);
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    place_t *place = *state;

    (void)unlink(place->path);
    (void)unlink(place->temporary);
    (void)rmdir(place->folder);
    free(place);
    return 0;
}

static void test_file_write_then_read_gives_the_same(void **state)
{
    const place_t *place = *state;
    struct stat info;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(sync_file_write(place->path, "old", 3), L7S_OK);
    assert_int_equal(sync_file_write(place->path, "newer\0!", 7), L7S_OK);
    assert_int_equal(sync_file_read(place->path, 100, &text, &size), L7S_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(text, "newer\0!", 8); /* and a NUL behind it */
    free(text);
    assert_int_equal(stat(place->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_not_equal(access(place->temporary, F_OK), 0);
}

static void test_file_read_failures_are_told_apart(void **state)
{
    const place_t *place = *state;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(sync_file_read(place->path, 10, &text, &size), L7S_NOT_FOUND);
    assert_int_equal(sync_file_read(place->folder, 10, &text, &size), L7S_IO);
    assert_int_equal(sync_file_write(place->path, "0123456789", 10), L7S_OK);
    assert_int_equal(sync_file_read(place->path, 9, &text, &size), L7S_TOO_BIG);
    assert_int_equal(sync_file_read(place->path, 10, &text, &size), L7S_OK);
    free(text);
    (void)unlink(place->path);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    assert_int_equal(sync_file_read(place->path, 10, &text, &size), L7S_IO);
}

static void test_file_write_into_no_folder_fails_and_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(sync_file_write("/tmp/l7s-no-such-folder/file", "x", 1), L7S_IO);
}

static void test_file_stamp_changes_with_the_file(void **state)
{
    const place_t *place = *state;
    sync_stamp_t none = sync_file_stamp(place->path);

    assert_false(sync_stamp_exists(&none));
    assert_int_equal(sync_file_write(place->path, "a", 1), L7S_OK);
    sync_stamp_t first = sync_file_stamp(place->path);
    sync_stamp_t again = sync_file_stamp(place->path);
    assert_true(sync_stamp_exists(&first));
    assert_true(sync_stamp_same(&first, &again));
    assert_int_equal(sync_file_write(place->path, "b", 1), L7S_OK);
    sync_stamp_t second = sync_file_stamp(place->path);
    assert_false(sync_stamp_same(&first, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file_write_then_read_gives_the_same,
                                        make_place, drop_place),
        cmocka_unit_test_setup_teardown(test_file_read_failures_are_told_apart,
                                        make_place, drop_place),
        cmocka_unit_test(test_file_write_into_no_folder_fails_and_leaves_nothing),
        cmocka_unit_test_setup_teardown(test_file_stamp_changes_with_the_file, make_place,
                                        drop_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
