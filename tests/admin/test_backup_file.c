/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a backup: what it holds, what is left when the disk is full or the file is
 * damaged, and who may read what is made of it.
 */
#include "../../admin_api/store/backup_file.h"
#include "../../admin_api/store/store_events.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <errno.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char *bytes;
    size_t size;
} backup_t;

static void path_of(const stored_t *stored, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", stored->folder, name);
}

/* Something that is in the log of events.db, and not yet in its file. */
static void put_number(stored_t *stored, int64_t number)
{
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_number_set(stored->store, "n", number), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
}

static bool write_backup(stored_t *stored, FILE *out, admin_trouble_t *trouble)
{
    char scratch[128];
    path_of(stored, "scratch", scratch);
    *trouble = (admin_trouble_t){.failed = false};
    return admin_backup_file_write(stored->folder, scratch, out, trouble);
}

static backup_t make_backup(stored_t *stored)
{
    backup_t backup = {NULL, 0};
    admin_trouble_t trouble;
    FILE *out = open_memstream(&backup.bytes, &backup.size);
    assert_true(write_backup(stored, out, &trouble));
    assert_int_equal(fclose(out), 0);
    return backup;
}

static bool extract(stored_t *stored, const backup_t *backup, size_t size,
                    admin_trouble_t *trouble)
{
    *trouble = (admin_trouble_t){.failed = false};
    FILE *in = fmemopen(backup->bytes, size, "r");
    bool good = admin_backup_file_extract(in, stored->folder, trouble);
    fclose(in);
    return good;
}

static bool is_there(const stored_t *stored, const char *name)
{
    char path[128];
    path_of(stored, name, path);
    return access(path, F_OK) == 0;
}

static unsigned mode_of(const stored_t *stored, const char *name)
{
    char path[128];
    struct stat status;
    path_of(stored, name, path);
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 0777;
}

static void remove_file(const stored_t *stored, const char *name)
{
    char path[128];
    path_of(stored, name, path);
    unlink(path);
}

static void assert_no_traces(const stored_t *stored)
{
    static const char *const names[] = {"config.db.restored",
                                        "events.db.restored",
                                        "scratch.config.db.partial",
                                        "scratch.events.db.partial",
                                        "scratch.config.db.partial-journal",
                                        "scratch.events.db.partial-journal"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(is_there(stored, names[i]));
    }
}

static void leave_file(const stored_t *stored, const char *name, mode_t mode)
{
    char path[128];
    path_of(stored, name, path);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 100000; i++) {
        fputs("left over ", file);
    }
    assert_int_equal(fchmod(fileno(file), mode), 0);
    assert_int_equal(fclose(file), 0);
}

static int64_t restored_number(const stored_t *stored)
{
    char path[128];
    sqlite3 *database;
    sqlite3_stmt *statement;
    path_of(stored, "events.db.restored", path);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT value FROM meta WHERE key = 'n'", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static void remove_restored(const stored_t *stored)
{
    static const char *const names[] = {"config.db.restored", "events.db.restored",
                                        "events.db.restored-wal",
                                        "events.db.restored-shm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        remove_file(stored, names[i]);
    }
}

static void test_backup_holds_what_was_committed_last(void **state)
{
    stored_t *stored = *state;
    admin_trouble_t trouble;
    put_number(stored, 7);
    backup_t backup = make_backup(stored);
    assert_no_traces(stored);
    put_number(stored, 8);
    assert_true(extract(stored, &backup, backup.size, &trouble));
    assert_int_equal(restored_number(stored), 7);
    assert_int_equal(admin_number_get(stored->store, "n", 0), 8);
    remove_restored(stored);
    free(backup.bytes);
}

/* Whatever the umask, and whatever an interrupted one has left. */
static void test_backup_extract_is_the_owners_and_replaces_leftovers(void **state)
{
    stored_t *stored = *state;
    admin_trouble_t trouble;
    mode_t before = umask(0);
    leave_file(stored, "scratch.config.db.partial", 0666);
    leave_file(stored, "scratch.config.db.partial-journal", 0666);
    leave_file(stored, "events.db.restored", 0666);
    put_number(stored, 7);
    backup_t backup = make_backup(stored);
    bool good = extract(stored, &backup, backup.size, &trouble);
    umask(before);
    assert_true(good);
    assert_int_equal(mode_of(stored, "config.db.restored"), 0600);
    assert_int_equal(mode_of(stored, "events.db.restored"), 0600);
    assert_int_equal(restored_number(stored), 7);
    remove_restored(stored);
    assert_no_traces(stored);
    free(backup.bytes);
}

/* A disk with room for `room` bytes, or that was full once and has room again. */
typedef struct {
    size_t room;
    bool once, failed;
} disk_t;

static ssize_t write_disk(void *context, const char *bytes, size_t size)
{
    disk_t *disk = context;
    (void)bytes;
    if (size > disk->room && !(disk->once && disk->failed)) {
        disk->failed = true;
        errno = ENOSPC;
        return 0;
    }
    disk->room -= size < disk->room ? size : disk->room;
    return (ssize_t)size;
}

static bool backup_onto(stored_t *stored, disk_t *disk, admin_trouble_t *trouble)
{
    cookie_io_functions_t calls = {.write = write_disk};
    FILE *out = fopencookie(disk, "w", calls);
    bool good = write_backup(stored, out, trouble);
    fclose(out);
    return good;
}

static void test_backup_on_a_full_disk_fails_and_says_so(void **state)
{
    stored_t *stored = *state;
    admin_trouble_t trouble;
    put_number(stored, 7);
    backup_t whole = make_backup(stored);
    for (size_t room = 0; room < whole.size; room += whole.size / 8) {
        for (int once = 0; once < 2; once++) {
            disk_t disk = {.room = room, .once = once != 0};
            assert_false(backup_onto(stored, &disk, &trouble));
            assert_non_null(strstr(trouble.why, "No space left"));
            assert_no_traces(stored);
        }
    }
    disk_t disk = {.room = whole.size};
    assert_true(backup_onto(stored, &disk, &trouble));
    free(whole.bytes);
}

static void test_backup_of_what_is_no_database_fails_and_says_so(void **state)
{
    stored_t *stored = *state;
    admin_trouble_t trouble;
    char *bytes = NULL;
    size_t size;
    admin_store_close(stored->store);
    stored->store = NULL;
    remove_file(stored, "events.db-wal");
    leave_file(stored, "events.db", 0600);
    FILE *out = open_memstream(&bytes, &size);
    assert_false(write_backup(stored, out, &trouble));
    fclose(out);
    free(bytes);
    assert_non_null(strstr(trouble.why, "events.db"));
    assert_no_traces(stored);
}

static void test_backup_extract_of_a_damaged_file_leaves_nothing(void **state)
{
    stored_t *stored = *state;
    admin_trouble_t trouble;
    put_number(stored, 7);
    backup_t backup = make_backup(stored);
    for (size_t size = 1; size < backup.size; size += backup.size / 16) {
        assert_false(extract(stored, &backup, size, &trouble)); /* cut short */
        assert_true(trouble.failed);
        assert_no_traces(stored);
    }
    for (size_t at = 0; at < backup.size; at += backup.size / 16) {
        backup.bytes[at] ^= 1;
        assert_false(extract(stored, &backup, backup.size, &trouble));
        assert_true(trouble.failed);
        assert_no_traces(stored);
        backup.bytes[at] ^= 1;
    }
    free(backup.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_backup_holds_what_was_committed_last),
        stored_test(test_backup_extract_is_the_owners_and_replaces_leftovers),
        stored_test(test_backup_on_a_full_disk_fails_and_says_so),
        stored_test(test_backup_of_what_is_no_database_fails_and_says_so),
        stored_test(test_backup_extract_of_a_damaged_file_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
