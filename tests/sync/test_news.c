/* SPDX-License-Identifier: Apache-2.0
 *
 * What is heard of what is told: once, whole, and in time, whatever else stands in an
 * item. The bus is an array here, and a seal is a letter and a length.
 */
#include "../../mod_l7shield/sync/news.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

#define SLOT_MS 100
#define FRAME 3 /* of a part: 'P' and its size in two bytes */
#define ITEM_MAX 200000
#define ITEMS 64 /* the last ones */

/* ---- the bus ---- */

static struct {
    uint64_t slot;
    size_t size;
    char bytes[ITEM_MAX];
} items[ITEMS];
static uint64_t turn, asked[64], sealed_at_ms;
static size_t asked_count;
static bool down;

static size_t item_of(uint64_t slot)
{
    size_t place = slot % ITEMS;

    if (items[place].slot != slot) {
        items[place].slot = slot;
        items[place].size = 0;
    }
    return place;
}

static void append(uint64_t slot, const void *bytes, size_t size)
{
    size_t place = item_of(slot);

    assert_true(items[place].size + size <= ITEM_MAX);
    memcpy(items[place].bytes + items[place].size, bytes, size);
    items[place].size += size;
}

size_t l7s_item_extent(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t extent = size < FRAME ? 0 : FRAME + ((size_t)bytes[1] << 8 | bytes[2]);

    return extent >= FRAME && bytes[0] == 'P' && extent <= size ? extent : 0;
}

uint64_t sync_bus_turn(const sync_bus_t *bus)
{
    (void)bus;
    return turn;
}

void sync_bus_name(const sync_bus_t *bus, l7s_item_kind_t kind, const char *detail,
                   uint64_t index, char out[L7S_ITEM_NAME_MAX])
{
    (void)bus;
    (void)detail;
    assert_int_equal(kind, L7S_ITEM_NEWS);
    memcpy(out, &index, sizeof index);
}

l7s_status_t sync_bus_read(sync_bus_t *bus, char (*names)[L7S_ITEM_NAME_MAX],
                           size_t count, l7s_pool_found_fn found, void *context)
{
    (void)bus;
    asked_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(&asked[i], names[i], sizeof asked[i]);
        size_t place = item_of(asked[i]);
        if (!down && items[place].size > 0) {
            found(context, i, items[place].bytes, items[place].size);
        }
    }
    return down ? L7S_IO : L7S_OK;
}

l7s_status_t sync_bus_open(sync_bus_t *bus, l7s_item_kind_t kind, const char *name,
                           const void *data, size_t size, l7s_item_t *out)
{
    (void)bus;
    (void)kind;
    (void)name;
    *out = (l7s_item_t){.sealed_at_ms = sealed_at_ms,
                        .payload = (const char *)data + FRAME,
                        .size = size - FRAME};
    return L7S_OK;
}

l7s_status_t sync_bus_write(sync_bus_t *bus, const sync_bus_place_t *place,
                            const char *payload, size_t size)
{
    const uint8_t frame[FRAME] = {'P', (uint8_t)(size >> 8), (uint8_t)size};

    (void)bus;
    assert_true(place->append);
    append(place->index, frame, sizeof frame);
    append(place->index, payload, size);
    return L7S_OK;
}

/* ---- the bench ---- */

typedef struct {
    sync_news_t *teller, *hearer;
    l7s_now_t now;
    size_t heard;
    sync_news_item_t last;
} bench_t;

static int set_up(void **state)
{
    bench_t *bench = calloc(1, sizeof *bench);

    memset(items, 0, sizeof items);
    turn = 1;
    down = false;
    bench->now = (l7s_now_t){.mono_us = 1000000, .wall_ms = 1700000000000};
    *state = bench;
    return sync_news_create(NULL, &bench->teller) != L7S_OK ||
           sync_news_create(NULL, &bench->hearer) != L7S_OK;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_news_free(bench->teller);
    sync_news_free(bench->hearer);
    free(bench);
    return 0;
}

static void hear(void *context, const sync_news_item_t *item)
{
    bench_t *bench = context;

    bench->heard++;
    bench->last = *item;
}

/* One tick of the hearer; returns how much it heard. */
static size_t listen(bench_t *bench)
{
    bench->heard = 0;
    sync_news_read(bench->hearer, bench->now, hear, bench);
    return bench->heard;
}

static void pass(bench_t *bench, uint64_t ms)
{
    bench->now.wall_ms += ms;
}

static sync_news_item_t item_with(uint64_t number)
{
    return (sync_news_item_t){.key = {0x0102030405060708 + number, ~number},
                              .limit = 0xa1b2c3d4,
                              .what = {.total = UINT64_MAX - number,
                                       .used = (uint64_t)1 << 40,
                                       .period = 0xfffffffe}};
}

static void tell(bench_t *bench, uint64_t number)
{
    const sync_news_item_t item = item_with(number);

    assert_true(sync_news_add(bench->teller, &item, 2, bench->now));
    sync_news_tell(bench->teller, bench->now);
    sealed_at_ms = bench->now.wall_ms;
}

/* ---- tests ---- */

static void test_news_are_heard_as_they_were_told(void **state)
{
    bench_t *bench = *state;
    const sync_news_item_t told = item_with(5);

    tell(bench, 5);
    assert_int_equal(listen(bench), 0); /* its tenth has not ended */
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_true(bench->last.key.lo == told.key.lo && bench->last.key.hi == told.key.hi);
    assert_int_equal(bench->last.limit, told.limit);
    assert_true(bench->last.what.total == told.what.total);
    assert_true(bench->last.what.used == told.what.used);
    assert_int_equal(bench->last.what.period, told.what.period);
    assert_int_equal(bench->last.what.age_ms, SLOT_MS);
}

static void test_news_of_several_nodes_stand_in_one_item(void **state)
{
    bench_t *bench = *state;

    for (unsigned i = 0; i < 3; i++) {
        tell(bench, i);
    }
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 3);
    assert_true(bench->last.key.hi == item_with(2).key.hi);
}

static void test_news_of_a_clock_ahead_are_of_no_age(void **state)
{
    bench_t *bench = *state;

    tell(bench, 1);
    sealed_at_ms += 5000;
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_int_equal(bench->last.what.age_ms, 0);
}

static void test_news_are_heard_once_and_what_comes_late_too(void **state)
{
    bench_t *bench = *state;
    l7s_now_t late = bench->now;

    tell(bench, 1);
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_int_equal(listen(bench), 0);
    bench->now = late; /* a node whose clock is behind */
    tell(bench, 2);
    pass(bench, 2 * SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_true(bench->last.key.hi == item_with(2).key.hi);
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 0);
}

static void test_news_missed_by_a_long_tick_are_read_together(void **state)
{
    bench_t *bench = *state;

    assert_int_equal(listen(bench), 0);
    for (unsigned i = 0; i < 5; i++) {
        pass(bench, SLOT_MS);
        tell(bench, i);
    }
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 5);
    for (unsigned i = 0; i < 20; i++) { /* away for two seconds: the last eight */
        pass(bench, SLOT_MS);
        tell(bench, i);
    }
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 8);
    assert_int_equal(asked_count, 8);
    assert_int_equal(asked[7], bench->now.wall_ms / SLOT_MS - 1);
}

static void test_news_that_could_not_be_read_are_read_next_time(void **state)
{
    bench_t *bench = *state;

    assert_int_equal(listen(bench), 0);
    pass(bench, SLOT_MS);
    tell(bench, 1);
    down = true;
    for (unsigned i = 0; i < 4; i++) {
        pass(bench, SLOT_MS);
        assert_int_equal(listen(bench), 0);
    }
    down = false;
    assert_int_equal(listen(bench), 1);
}

static void test_news_behind_garbage_are_lost_and_later_ones_heard(void **state)
{
    bench_t *bench = *state;
    uint64_t slot = bench->now.wall_ms / SLOT_MS;
    l7s_now_t then = bench->now;

    tell(bench, 1);
    append(slot, "P\xff\xffnot so much", 14);
    tell(bench, 2);
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_true(bench->last.key.hi == item_with(1).key.hi);
    bench->now = then;
    tell(bench, 3);
    pass(bench, 2 * SLOT_MS);
    assert_int_equal(listen(bench), 1);
    assert_true(bench->last.key.hi == item_with(3).key.hi);
}

static void test_news_cut_in_the_middle_of_a_record_end_there(void **state)
{
    bench_t *bench = *state;
    char part[FRAME + 79] = {'P', 0, 79}; /* two records but for a byte */

    append(bench->now.wall_ms / SLOT_MS, part, sizeof part);
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
}

static void test_news_of_another_turn_are_other_news(void **state)
{
    bench_t *bench = *state;

    tell(bench, 1);
    pass(bench, SLOT_MS);
    assert_int_equal(listen(bench), 1);
    turn++;
    assert_int_equal(listen(bench), 1);
}

/* How many pieces of news a node of so many may tell in this tick. */
static size_t room_for(bench_t *bench, uint32_t live_nodes)
{
    size_t count = 0;

    while (count < 5000) {
        const sync_news_item_t item = item_with(count);
        if (!sync_news_add(bench->teller, &item, live_nodes, bench->now)) {
            break;
        }
        count++;
    }
    sync_news_tell(bench->teller, bench->now);
    return count;
}

static void test_news_of_all_nodes_fit_one_item(void **state)
{
    bench_t *bench = *state;
    static const uint32_t nodes[] = {1, 10, 100, 1000};

    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        size_t sum = 0, count;
        while ((count = room_for(bench, nodes[i])) > 0) {
            sum += 148 + 40 * count; /* sealed */
        }
        assert_in_range(sum * nodes[i], 1, 200000);
        pass(bench, SLOT_MS);
    }
    assert_true(room_for(bench, 0) > 0); /* nobody has been counted yet */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_news_are_heard_as_they_were_told),
        TEST(test_news_of_several_nodes_stand_in_one_item),
        TEST(test_news_of_a_clock_ahead_are_of_no_age),
        TEST(test_news_are_heard_once_and_what_comes_late_too),
        TEST(test_news_missed_by_a_long_tick_are_read_together),
        TEST(test_news_that_could_not_be_read_are_read_next_time),
        TEST(test_news_behind_garbage_are_lost_and_later_ones_heard),
        TEST(test_news_cut_in_the_middle_of_a_record_end_there),
        TEST(test_news_of_another_turn_are_other_news),
        TEST(test_news_of_all_nodes_fit_one_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
