/* SPDX-License-Identifier: Apache-2.0
 *
 * Sinks: whole lines, files that are moved away or full, pipes and syslog sockets that
 * nobody reads.
 */
#include "../../admin_api/events/sink.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96], why[256];
static atomic_bool stopping;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/l7shield-sink-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/events", folder);
    atomic_store(&stopping, false);
    return 0;
}

static int teardown(void **state)
{
    char moved[96];
    (void)state;
    snprintf(moved, sizeof moved, "%s/moved", folder);
    unlink(moved);
    unlink(path);
    return rmdir(folder);
}

static l7s_status_t put(admin_sink_t *sink, const char *line)
{
    return admin_sink_write(sink, line, strlen(line), why);
}

static void assert_file(const char *name, const char *text)
{
    char found[256] = "";
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static void test_sink_file_gets_lines_and_is_opened_anew(void **state)
{
    (void)state;
    char moved[96];
    snprintf(moved, sizeof moved, "%s/moved", folder);
    admin_sink_t *sink = admin_sink_create(path, &stopping);
    assert_int_equal(put(sink, "one\n"), L7S_OK);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(put(sink, "two\n"), L7S_OK);
    admin_sink_reopen(sink);
    assert_int_equal(put(sink, "three\n"), L7S_OK);
    assert_file(moved, "one\ntwo\n");
    assert_file(path, "three\n");
    admin_sink_free(sink);
}

static void test_sink_full_file_keeps_no_half_of_a_line(void **state)
{
    (void)state;
    struct rlimit before, full = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    admin_sink_t *sink = admin_sink_create(path, &stopping);
    assert_int_equal(put(sink, "12345\n"), L7S_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    assert_int_equal(put(sink, "67890\n"), L7S_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_file(path, "12345\n");
    assert_int_equal(put(sink, "67890\n"), L7S_OK);
    assert_file(path, "12345\n67890\n");
    admin_sink_free(sink);
}

static void test_sink_pipe_that_is_full_takes_the_rest_later(void **state)
{
    (void)state;
    static char line[200000], found[200001];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    assert_int_equal(mkfifo(path, 0600), 0);
    admin_sink_t *sink = admin_sink_create(path, &stopping);
    assert_int_equal(put(sink, "nobody reads\n"), L7S_IO);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    size_t used = 0;
    l7s_status_t status = L7S_TIMEOUT;
    for (unsigned i = 0; i < 100 && status != L7S_OK; i++) {
        status = admin_sink_write(sink, line, sizeof line, why);
        ssize_t count;
        while ((count = read(reader, found + used, sizeof found - used)) > 0) {
            used += (size_t)count;
        }
    }
    assert_int_equal(status, L7S_OK);
    assert_int_equal(used, sizeof line);
    assert_memory_equal(found, line, sizeof line);
    close(reader);
    assert_int_equal(put(sink, "gone\n"), L7S_IO);
    admin_sink_free(sink);
}

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_sink_syslog_gets_a_message_each_and_is_found_again(void **state)
{
    (void)state;
    char target[128], found[256];
    snprintf(target, sizeof target, "syslog:%s", path);
    admin_sink_t *sink = admin_sink_create(target, &stopping);
    assert_int_equal(put(sink, "{}\n"), L7S_IO);
    int server = listen_at(path);
    assert_int_equal(put(sink, "{\"id\":1}\n"), L7S_OK);
    ssize_t size = recv(server, found, sizeof found - 1, 0);
    assert_true(size > 0);
    found[size] = '\0';
    assert_memory_equal(found, "<29>", 4);
    assert_non_null(strstr(found, " l7shieldd["));
    assert_string_equal(strstr(found, "]: ") + 3, "{\"id\":1}");
    close(server);
    assert_int_equal(put(sink, "{}\n"), L7S_IO);
    unlink(path);
    server = listen_at(path);
    assert_int_equal(put(sink, "{}\n"), L7S_OK);
    close(server);
    admin_sink_free(sink);
}

static void test_sink_syslog_that_hangs_is_not_waited_for(void **state)
{
    (void)state;
    char target[128];
    snprintf(target, sizeof target, "syslog:%s", path);
    int server = listen_at(path); /* never reads */
    admin_sink_t *sink = admin_sink_create(target, &stopping);
    l7s_status_t status = L7S_OK;
    for (unsigned i = 0; i < 100000 && status == L7S_OK; i++) {
        status = put(sink, "{}\n");
    }
    assert_int_equal(status, L7S_TIMEOUT);
    close(server);
    admin_sink_free(sink);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sink_file_gets_lines_and_is_opened_anew,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_sink_full_file_keeps_no_half_of_a_line,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_sink_pipe_that_is_full_takes_the_rest_later,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_sink_syslog_gets_a_message_each_and_is_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sink_syslog_that_hangs_is_not_waited_for,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
