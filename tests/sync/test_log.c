/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the log: their form, that nobody forges one, and the gate.
 */
#define _GNU_SOURCE /* strptime */
#include "../../mod_l7shield/sync/log.h"
#include "unit.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
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

/* The time as httpd writes it: "[Thu Nov 26 16:51:14.123456 2026] ". */
static void test_log_line_has_time_level_pid_and_tag(void **state)
{
    (void)state;
    char line[4096], expected[128];
    struct tm when;

    capture("a sentence", line, sizeof line);
    const char *rest = strptime(line, "[%a %b %d %H:%M:%S.", &when);
    assert_non_null(rest);
    assert_int_equal(strspn(rest, "0123456789"), 6);
    rest = strptime(rest + 6, " %Y] ", &when);
    assert_non_null(rest);
    snprintf(expected, sizeof expected, "[l7shield:warn] [pid %d] L7S2999: a sentence\n",
             (int)getpid());
    assert_string_equal(rest, expected);
}

/* What arrives at a socket in syslog's place. */
static void syslog_gets(const char *where, sync_level_t level, char *out, size_t capacity)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/l7s-log-%d", (int)getpid());
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    sync_log_to_syslog(address.sun_path, where);
    sync_log(level, "L7S2999", "a\nsentence");
    ssize_t size = recv(fd, out, capacity - 1, MSG_DONTWAIT);
    out[size > 0 ? size : 0] = '\0';
    close(fd);
    assert_int_equal(unlink(address.sun_path), 0);
    sync_log(level, "L7S2999", "nobody listens");
}

/* The last test: lines do not come back to stderr. */
static void test_log_to_syslog_takes_facility_and_tag_of_httpd(void **state)
{
    (void)state;
    static const struct {
        const char *where;
        sync_level_t level;
        int priority;
        const char *ident;
    } cases[] = {
        {"local1:web", SYNC_ERROR, 17 * 8 + 3, "web"},
        {"USER:web", SYNC_WARN, 1 * 8 + 4, "web"},
        {":web", SYNC_INFO, 23 * 8 + 6, "web"},
        {"none", SYNC_INFO, 23 * 8 + 6, "l7shield-sync"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[4096], begin[16], end[128];

        syslog_gets(cases[i].where, cases[i].level, line, sizeof line);
        snprintf(begin, sizeof begin, "<%d>", cases[i].priority);
        snprintf(end, sizeof end, " %s[%d]: [l7shield:", cases[i].ident, (int)getpid());
        assert_memory_equal(line, begin, strlen(begin));
        assert_non_null(strstr(line, end));
        assert_non_null(strstr(line, "L7S2999: a\\x0asentence"));
    }
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
        cmocka_unit_test(test_log_line_has_time_level_pid_and_tag),
        cmocka_unit_test(test_log_control_bytes_are_escaped),
        cmocka_unit_test(test_log_long_line_is_cut_and_ends),
        cmocka_unit_test(test_log_gate_lets_one_pass_per_interval_and_counts_the_others),
        cmocka_unit_test(test_log_to_syslog_takes_facility_and_tag_of_httpd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
