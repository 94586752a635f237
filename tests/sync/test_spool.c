/* SPDX-License-Identifier: Apache-2.0
 *
 * No report is lost between its episode and the daemon's acknowledgement, and none is
 * sent without end. The bus is an array here, the disk is a real folder.
 */
#include "../../mod_l7shield/sync/spool.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITES 20000

/* ---- the bus ---- */

static struct {
    uint64_t index;
    char id[16];
} writes[WRITES];
static size_t written;
static uint64_t turn;
static bool epoch_known, store_up;
static char ack[128]; /* "": none */

uint64_t sync_bus_turn(const sync_bus_t *bus)
{
    (void)bus;
    return turn;
}

const char *sync_bus_epoch(const sync_bus_t *bus)
{
    (void)bus;
    return epoch_known ? "epoch" : "";
}

void sync_bus_name(const sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                   uint64_t index, char out[L7S_ITEM_NAME_MAX])
{
    (void)bus;
    (void)index;
    assert_int_equal(kind, L7S_ITEM_ACK);
    assert_string_equal(detail, "web-1");
    snprintf(out, L7S_ITEM_NAME_MAX, "ack");
}

l7s_status_t sync_bus_read(sync_bus_t *bus, char (*names)[L7S_ITEM_NAME_MAX],
                           size_t count, l7s_pool_found_fn found, void *context)
{
    (void)bus;
    (void)names;
    assert_int_equal(count, 1);
    if (store_up && ack[0] != '\0') {
        found(context, 0, ack, strlen(ack));
    }
    return store_up ? L7S_OK : L7S_IO;
}

l7s_status_t sync_bus_open(sync_bus_t *bus, l7s_item_kind_t kind, const char *name,
                           const void *data, size_t size, l7s_item_t *out)
{
    (void)bus;
    (void)kind;
    (void)name;
    *out = (l7s_item_t){.payload = data, .size = size};
    return L7S_OK;
}

l7s_status_t sync_bus_write(sync_bus_t *bus, const sync_bus_place_t *place,
                            const char *payload, size_t size)
{
    (void)bus;
    assert_int_equal(place->kind, L7S_ITEM_INCIDENT);
    assert_true(place->replace);
    if (!store_up) {
        return L7S_IO;
    }
    assert_true(written < WRITES);
    json_t *json = json_loadb(payload, size, 0, NULL);
    writes[written].index = place->index;
    snprintf(writes[written].id, sizeof writes[written].id, "%s",
             json_string_value(json_object_get(json, "id")));
    written++;
    json_decref(json);
    return L7S_OK;
}

/* ---- the bench ---- */

typedef struct {
    char folder[32];
    sync_options_t options;
    sync_spool_t *spool;
    l7s_now_t now;
} bench_t;

static int set_up(void **state)
{
    bench_t *bench = calloc(1, sizeof *bench);

    strcpy(bench->folder, "/tmp/test_spool_XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    bench->options = (sync_options_t){.node = "web-1", .state_dir = bench->folder};
    bench->now = (l7s_now_t){.mono_us = 5000000, .wall_ms = 1700000000000};
    written = 0;
    turn = 1;
    epoch_known = store_up = true;
    ack[0] = '\0';
    *state = bench;
    return sync_spool_create(NULL, &bench->options, bench->now, &bench->spool) != L7S_OK;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;
    char path[64];

    sync_spool_free(bench->spool);
    snprintf(path, sizeof path, "%s/spool.json", bench->folder);
    (void)unlink(path);
    assert_int_equal(rmdir(bench->folder), 0);
    free(bench);
    return 0;
}

static void add(bench_t *bench, unsigned number, unsigned requests)
{
    char id[16];

    snprintf(id, sizeof id, "inc_%u", number);
    json_t *report = json_pack("{s:s, s:i}", "id", id, "requests", (int)requests);
    sync_spool_add(bench->spool, report, bench->now);
    json_decref(report);
}

/* A tick; returns how much was written to the bus in it. */
static size_t tick(bench_t *bench)
{
    size_t before = written;

    sync_spool_tick(bench->spool, bench->now);
    bench->now.mono_us += 100000;
    bench->now.wall_ms += 100;
    return written - before;
}

static uint64_t first(const bench_t *bench)
{
    uint64_t begin, end;

    sync_spool_range(bench->spool, &begin, &end);
    return begin;
}

static uint64_t waiting_for_ack(const bench_t *bench)
{
    uint64_t begin, end;

    sync_spool_range(bench->spool, &begin, &end);
    return end - begin;
}

static void acknowledge(const char *node, uint64_t sequence)
{
    snprintf(ack, sizeof ack, "{\"node\":\"%s\",\"sequence\":%llu}", node,
             (unsigned long long)sequence);
}

/* ---- tests ---- */

static void test_spool_numbers_are_those_of_the_log_and_end_with_the_ack(void **state)
{
    bench_t *bench = *state;
    uint64_t begin = first(bench);

    for (unsigned i = 0; i < 3; i++) {
        add(bench, i, 1);
    }
    assert_int_equal(tick(bench), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(writes[i].index, begin + i);
    }
    assert_int_equal(waiting_for_ack(bench), 3);
    acknowledge("web-1", begin + 1);
    assert_int_equal(tick(bench), 0);
    assert_int_equal(first(bench), begin + 2);
    assert_int_equal(waiting_for_ack(bench), 1);
    acknowledge("web-1", begin + 2);
    tick(bench);
    assert_int_equal(waiting_for_ack(bench), 0);
    add(bench, 7, 1); /* no number is used twice */
    tick(bench);
    assert_int_equal(writes[written - 1].index, begin + 3);
}

static void test_spool_acks_of_others_or_of_nothing_are_ignored(void **state)
{
    bench_t *bench = *state;
    uint64_t begin = first(bench);

    add(bench, 1, 1);
    tick(bench);
    acknowledge("web-2", begin);
    tick(bench);
    acknowledge("web-1", begin + 1); /* never sent */
    tick(bench);
    acknowledge("web-1", begin - 1);
    tick(bench);
    strcpy(ack, "[]");
    tick(bench);
    strcpy(ack, "{\"node\":\"web-1\",\"sequence\":-1}");
    tick(bench);
    assert_int_equal(first(bench), begin);
    assert_int_equal(waiting_for_ack(bench), 1);
}

static void test_spool_report_that_waits_is_replaced_by_a_newer_one(void **state)
{
    bench_t *bench = *state;

    store_up = false;
    add(bench, 1, 1);
    add(bench, 2, 1);
    assert_int_equal(tick(bench), 0);
    add(bench, 1, 5);
    store_up = true;
    assert_int_equal(tick(bench), 2);
    assert_string_equal(writes[0].id, "inc_1"); /* in its old place */
    add(bench, 1, 6); /* what was sent stays as it is: a reader may be at it */
    assert_int_equal(tick(bench), 1);
    assert_int_equal(waiting_for_ack(bench), 3);
}

static void test_spool_without_an_answer_sends_again_ever_more_seldom(void **state)
{
    bench_t *bench = *state;
    static const unsigned ticks[] = {20, 40, 80, 160, 160, 160};

    add(bench, 1, 1);
    assert_int_equal(tick(bench), 1);
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++) {
        unsigned passed = 0;
        while (tick(bench) == 0) {
            passed++;
        }
        assert_in_range(passed, ticks[i] - 1, ticks[i]);
        assert_int_equal(writes[written - 1].index, first(bench));
    }
    add(bench, 2, 1);
    tick(bench);
    acknowledge("web-1", first(bench)); /* progress: it hurries again */
    tick(bench);
    unsigned passed = 0;
    while (tick(bench) == 0) {
        passed++;
    }
    assert_in_range(passed, 18, 20);
}

static void test_spool_sends_a_window_and_no_more_in_one_tick(void **state)
{
    bench_t *bench = *state;
    uint64_t begin = first(bench);

    for (unsigned i = 0; i < 1000; i++) {
        add(bench, i, 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(tick(bench), 64);
    }
    assert_int_equal(tick(bench), 0);
    assert_int_equal(waiting_for_ack(bench), 256);
    acknowledge("web-1", begin + 99);
    size_t sent = tick(bench) + tick(bench);
    assert_int_equal(sent, 100);
}

static void test_spool_on_another_bus_sends_everything_again(void **state)
{
    bench_t *bench = *state;

    add(bench, 1, 1);
    add(bench, 2, 1);
    tick(bench);
    turn++;
    epoch_known = false;
    assert_int_equal(tick(bench), 0); /* not known where it is */
    epoch_known = true;
    assert_int_equal(tick(bench), 2);
    assert_int_equal(writes[2].index, writes[0].index);
}

static void test_spool_that_is_full_lets_the_oldest_go(void **state)
{
    bench_t *bench = *state;
    uint64_t begin = first(bench);

    add(bench, 0, 1);
    add(bench, 1, 1);
    tick(bench); /* both stand in the log */
    store_up = false;
    for (unsigned i = 2; i < 8193; i++) {
        add(bench, i, 1);
    }
    assert_int_equal(first(bench), begin + 1); /* the first one went */
    assert_int_equal(waiting_for_ack(bench), 1);
    for (unsigned i = 8193; i < 8196; i++) {
        add(bench, i, 1);
    }
    assert_int_equal(waiting_for_ack(bench), 0);
    store_up = true;
    tick(bench);
    assert_string_equal(writes[2].id, "inc_4");
    assert_int_equal(writes[2].index, begin + 2);
}

static void test_spool_outlives_its_process(void **state)
{
    bench_t *bench = *state;
    uint64_t begin = first(bench);

    add(bench, 1, 1);
    add(bench, 2, 1);
    add(bench, 3, 1);
    tick(bench);
    acknowledge("web-1", begin);
    tick(bench);
    sync_spool_flush(bench->spool, bench->now);
    sync_spool_free(bench->spool);
    ack[0] = '\0';
    written = 0;
    bench->now.wall_ms += 5000;
    assert_int_equal(sync_spool_create(NULL, &bench->options, bench->now, &bench->spool),
                     L7S_OK);
    assert_int_equal(tick(bench), 2);
    assert_string_equal(writes[0].id, "inc_2");
    assert_string_equal(writes[1].id, "inc_3");
    assert_true(writes[0].index > begin + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_spool_numbers_are_those_of_the_log_and_end_with_the_ack),
        TEST(test_spool_acks_of_others_or_of_nothing_are_ignored),
        TEST(test_spool_report_that_waits_is_replaced_by_a_newer_one),
        TEST(test_spool_without_an_answer_sends_again_ever_more_seldom),
        TEST(test_spool_sends_a_window_and_no_more_in_one_tick),
        TEST(test_spool_on_another_bus_sends_everything_again),
        TEST(test_spool_that_is_full_lets_the_oldest_go),
        TEST(test_spool_outlives_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
