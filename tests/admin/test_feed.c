/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs of all sizes through the reading thread: every line comes once and in order,
 * whatever is too long or no line is counted, and pieces of any size make no difference.
 */
#include "../../admin_api/backtest/feed.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE                                                                             \
    "203.0.113.7 - - [31/Jan/2026:23:59:59 +0100] \"GET /%u HTTP/1.1\" 200 5 \"-\" "     \
    "\"%s\"\n"

typedef struct {
    uint64_t accesses, lines, bytes, bad, too_long;
    bool in_order;
    l7s_status_t status;
} seen_t;

/* Accesses carry their number in the path. */
static seen_t read_all(int fd)
{
    seen_t seen = {.in_order = true};
    const admin_batch_t *batch;
    admin_feed_t *feed;

    assert_int_equal(admin_feed_start(fd, L7S_ACCESS_ANY, &feed), L7S_OK);
    for (;;) {
        seen.status = admin_feed_next(feed, &batch);
        if (batch == NULL) {
            break;
        }
        for (size_t i = 0; i < batch->count; i++) {
            seen.in_order &=
                strtoull(batch->accesses[i].target + 1, NULL, 10) == seen.accesses++;
        }
        seen.lines = batch->lines;
        seen.bytes = batch->bytes;
        seen.bad = batch->skipped[L7S_LINE_FORM];
        seen.too_long = batch->skipped[L7S_LINE_LONG];
    }
    admin_feed_stop(feed);
    return seen;
}

static FILE *temporary(void)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    return file;
}

static seen_t read_file(FILE *file)
{
    fflush(file);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    seen_t seen = read_all(fileno(file));
    fclose(file);
    return seen;
}

static void test_feed_empty_log_has_no_lines(void **state)
{
    (void)state;
    seen_t seen = read_file(temporary());

    assert_int_equal(seen.lines, 0);
    assert_int_equal(seen.status, L7S_OK);
}

static void test_feed_last_line_may_lack_its_end(void **state)
{
    (void)state;
    FILE *file = temporary();

    fprintf(file, LINE, 0u, "a");
    fprintf(file, LINE, 1u, "b");
    assert_int_equal(ftruncate(fileno(file), ftell(file)), 0);
    fflush(file);
    assert_int_equal(ftruncate(fileno(file), ftell(file) - 1), 0);
    seen_t seen = read_file(file);
    assert_int_equal(seen.accesses, 2);
    assert_int_equal(seen.lines, 2);
}

/* Several times as much as all batches hold, of lines of very different lengths. */
static void test_feed_every_line_comes_once_and_in_order(void **state)
{
    (void)state;
    FILE *file = temporary();
    char agent[3000];
    const unsigned lines = 20000;

    for (unsigned i = 0; i < lines; i++) {
        size_t size = i % 7 == 0 ? i % sizeof agent : i % 60;
        memset(agent, 'a', sizeof agent);
        agent[size < sizeof agent ? size : sizeof agent - 1] = '\0';
        fprintf(file, LINE, i, agent);
    }
    long size = ftell(file);
    seen_t seen = read_file(file);
    assert_int_equal(seen.accesses, lines);
    assert_int_equal(seen.lines, lines);
    assert_int_equal(seen.bytes, size);
    assert_true(seen.in_order);
}

static void put_many(FILE *file, char c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputc(c, file);
    }
}

/* Also at the beginning, at the end, and larger than all of the memory. */
static void test_feed_lines_that_are_too_long_are_passed_over(void **state)
{
    (void)state;
    FILE *file = temporary();

    put_many(file, 'x', L7S_ACCESS_LINE_MAX + 1);
    fputc('\n', file);
    fprintf(file, LINE, 0u, "a");
    put_many(file, 'y', 5 << 20);
    fputc('\n', file);
    fprintf(file, LINE, 1u, "b");
    put_many(file, 'z', L7S_ACCESS_LINE_MAX); /* fits, and is none */
    fputc('\n', file);
    fprintf(file, LINE, 2u, "c");
    put_many(file, 'x', 3 << 20);
    seen_t seen = read_file(file);
    assert_int_equal(seen.accesses, 3);
    assert_true(seen.in_order);
    assert_int_equal(seen.too_long, 3);
    assert_int_equal(seen.bad, 1);
    assert_int_equal(seen.lines, 7);
}

static void test_feed_failed_read_is_told(void **state)
{
    (void)state;
    int folder = open("/", O_RDONLY | O_DIRECTORY);
    seen_t seen = read_all(folder);

    assert_int_equal(seen.status, L7S_IO);
    close(folder);
}

/* Bytes that come one by one. */
static void *write_slowly(void *context)
{
    int fd = *(int *)context;
    char line[256];

    for (unsigned i = 0; i < 50; i++) {
        int size = snprintf(line, sizeof line, LINE, i, "agent");
        for (int k = 0; k < size; k++) {
            assert_int_equal(write(fd, line + k, 1), 1);
        }
    }
    close(fd);
    return NULL;
}

static void test_feed_pieces_make_no_difference(void **state)
{
    (void)state;
    int ends[2];
    pthread_t writer;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_slowly, &ends[1]), 0);
    seen_t seen = read_all(ends[0]);
    pthread_join(writer, NULL);
    close(ends[0]);
    assert_int_equal(seen.accesses, 50);
    assert_true(seen.in_order);
}

static void test_feed_stops_in_the_middle(void **state)
{
    (void)state;
    FILE *file = temporary();
    const admin_batch_t *batch;
    admin_feed_t *feed;

    for (unsigned i = 0; i < 20000; i++) {
        fprintf(file, LINE, i, "a");
    }
    fflush(file);
    lseek(fileno(file), 0, SEEK_SET);
    assert_int_equal(admin_feed_start(fileno(file), L7S_ACCESS_ANY, &feed), L7S_OK);
    assert_int_equal(admin_feed_next(feed, &batch), L7S_OK);
    assert_int_equal(batch->count, ADMIN_BATCH);
    admin_feed_stop(feed);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_empty_log_has_no_lines),
        cmocka_unit_test(test_feed_last_line_may_lack_its_end),
        cmocka_unit_test(test_feed_every_line_comes_once_and_in_order),
        cmocka_unit_test(test_feed_lines_that_are_too_long_are_passed_over),
        cmocka_unit_test(test_feed_failed_read_is_told),
        cmocka_unit_test(test_feed_pieces_make_no_difference),
        cmocka_unit_test(test_feed_stops_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
