/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log: their form, that nobody forges one, and the gate.
 */
#include "../../mod_l7shield/sync/log.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a call writes to stderr. */
static void capture(const char *text, char *out, size_t capacity)
{
    int ends[2], kept = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    sync_log(SYNC_WARN, "L7S2999", "%s", text);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(ends[1]);
    close(kept);
    ssize_t size = read(ends[0], out, capacity - 1);
    close(ends[0]);
    out[size > 0 ? size : 0] = '\0';
}

static void test_log_line_has_level_pid_and_tag(void **state)
{
    (void)state;
    char line[4096], expected[128];

    capture("a sentence", line, sizeof line);
    snprintf(expected, sizeof expected, "[l7shield:warn] [pid %d] L7S2999: a sentence\n",
             (int)getpid());
    assert_string_equal(line, expected);
}

static void test_log_control_bytes_are_escaped(void **state)
{
    (void)state;
    char line[4096];

    capture("a\nb\x1b[31m\x7f\\ \xc3\xa4", line, sizeof line);
    assert_non_null(strstr(line, "a\\x0ab\\x1b[31m\\x7f\\ \xc3\xa4\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_log_long_line_is_cut_and_ends(void **state)
{
    (void)state;
    char text[8192], line[8192];

    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture(text, line, sizeof line);
    assert_in_range(strlen(line), 1500, 2048);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_log_gate_lets_one_pass_per_interval_and_counts_the_others(void **state)
{
    (void)state;
    sync_log_gate_t gate = {0};
    uint64_t held_back = 9;

    assert_true(sync_log_gate(&gate, 1000, 100, &held_back));
    assert_int_equal(held_back, 0);
    assert_false(sync_log_gate(&gate, 1000, 100, NULL));
    assert_false(sync_log_gate(&gate, 1099, 100, NULL));
    assert_true(sync_log_gate(&gate, 1100, 100, &held_back));
    assert_int_equal(held_back, 2);
    assert_true(sync_log_gate(&gate, 5000, 100, &held_back));
    assert_int_equal(held_back, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_line_has_level_pid_and_tag),
        cmocka_unit_test(test_log_control_bytes_are_escaped),
        cmocka_unit_test(test_log_long_line_is_cut_and_ends),
        cmocka_unit_test(test_log_gate_lets_one_pass_per_interval_and_counts_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
