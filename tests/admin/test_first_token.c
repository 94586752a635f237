/* SPDX-License-Identifier: Apache-2.0
 *
 * The first admin token: made once, its owner's alone, and what stands in the file is
 * what the store knows.
 */
#include "../../admin_api/http/first_token.h"
#include "../../admin_api/http/token_text.h"
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
#include <sys/stat.h>

static void path_of(const stored_t *stored, char path[128])
{
    snprintf(path, 128, "%s/token", stored->folder);
}

static l7s_status_t first(stored_t *stored, const char *path)
{
    char why[256];
    return admin_first_token(stored->store, path, 1000, why);
}

static void test_first_token_is_made_once_for_its_owner(void **state)
{
    stored_t *stored = *state;
    char path[128], line[128] = "", id[9];
    uint8_t hash[32];
    struct stat status;
    admin_token_t token;
    path_of(stored, path);
    FILE *old = fopen(path, "w"); /* of a store that is gone */
    assert_int_equal(fchmod(fileno(old), 0666), 0);
    assert_int_equal(fclose(old), 0);
    assert_int_equal(first(stored, path), L7S_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    assert_true(admin_token_read(line, id, hash));
    assert_int_equal(admin_token_by_id(stored->store, id, &token), L7S_OK);
    assert_memory_equal(token.hash, hash, sizeof hash);
    assert_int_equal(token.role, ADMIN_ADMIN);
    json_decref(token.spec);
    unlink(path);
    assert_int_equal(first(stored, path), L7S_OK);
    assert_int_not_equal(access(path, F_OK), 0);
}

static bool count(void *context, const admin_token_t *token)
{
    (void)token;
    ++*(int *)context;
    return true;
}

/* Else nobody would ever know the token that keeps others from being made. */
static void test_first_token_without_a_file_is_none(void **state)
{
    stored_t *stored = *state;
    int tokens = 0;
    assert_int_equal(first(stored, "/nowhere/at/all/token"), L7S_IO);
    assert_int_equal(admin_token_each(stored->store, "", count, &tokens), L7S_OK);
    assert_int_equal(tokens, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_first_token_is_made_once_for_its_owner),
        stored_test(test_first_token_without_a_file_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
