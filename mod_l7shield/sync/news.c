/* SPDX-License-Identifier: Apache-2.0
 *
 * See news.h. On the wire a piece of news has 40 bytes, little-endian:
 *
 *   0 key   16 limit u32   20 period u32   24 total u64   32 used u64
 *
 * The two youngest items that have ended are read: the elder once more, for a node whose
 * clock is a little late. What was taken in of each is remembered by its length, which
 * only grows.
 */
#include "news.h"
#include <stdlib.h>
#include <string.h>

#define SLOT_MS 100
#define SLOTS_MAX 8 /* read at once, by a node whose ticks are long or late */
#define TTL_S 5
#define RECORD_SIZE 40
#define SEAL_SIZE 148 /* what is around the records of one part */
#define RECORDS_MAX 1024
#define ITEM_SIZE 200000 /* of all nodes together */

/* How much of an item has been taken in. */
typedef struct {
    uint64_t slot;
    size_t size;
} taken_t;

struct sync_news {
    sync_bus_t *bus;
    uint64_t turn;   /* of the bus, for which the rest holds */
    uint64_t newest; /* the last slot that was read */
    taken_t taken[2 * SLOTS_MAX];
    uint64_t told_slot; /* the slot that `told_size` is about */
    size_t told_size;
    size_t count;
    uint8_t records[RECORDS_MAX * RECORD_SIZE];
};

l7s_status_t sync_news_create(sync_bus_t *bus, sync_news_t **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return L7S_NO_MEMORY;
    }
    (*out)->bus = bus;
    return L7S_OK;
}

void sync_news_free(sync_news_t *news)
{
    free(news);
}

static void put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_le(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = bytes; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

/* ---- reading ---- */

typedef struct {
    sync_news_t *news;
    sync_news_fn hear;
    void *context;
    uint64_t first; /* slot of the first name */
    uint64_t wall_ms;
    char names[SLOTS_MAX][L7S_ITEM_NAME_MAX];
} reading_t;

static void hand_over(const reading_t *reading, const l7s_item_t *part)
{
    uint64_t wall_ms = reading->wall_ms, sealed_ms = part->sealed_at_ms;
    uint64_t age_ms = wall_ms > sealed_ms ? wall_ms - sealed_ms : 0;

    for (size_t at = 0; at + RECORD_SIZE <= part->size; at += RECORD_SIZE) {
        const uint8_t *record = (const uint8_t *)part->payload + at;
        sync_news_item_t item = {
            .key = {get_le(record, 8), get_le(record + 8, 8)},
            .limit = (uint32_t)get_le(record + 16, 4),
            .what = {.period = (uint32_t)get_le(record + 20, 4),
                     .total = get_le(record + 24, 8),
                     .used = get_le(record + 32, 8),
                     .age_ms = age_ms},
        };
        reading->hear(reading->context, &item);
    }
}

static size_t *taken_of(sync_news_t *news, uint64_t slot)
{
    taken_t *taken = &news->taken[slot % (2 * SLOTS_MAX)];

    if (taken->slot != slot) {
        *taken = (taken_t){.slot = slot};
    }
    return &taken->size;
}

static void take(void *context, size_t index, const void *value, size_t size)
{
    reading_t *reading = context;
    size_t *taken = taken_of(reading->news, reading->first + index);

    while (*taken < size) {
        const char *at = (const char *)value + *taken;
        size_t extent = l7s_item_extent(at, size - *taken);
        l7s_item_t part;
        if (extent == 0) {
            *taken = size; /* nothing behind it can be found */
            return;
        }
        *taken += extent;
        if (sync_bus_open(reading->news->bus, L7S_ITEM_NEWS, reading->names[index], at,
                          extent, &part) == L7S_OK) {
            hand_over(reading, &part);
        }
    }
}

/* Another bus has other items under the same numbers. */
static void follow_turn(sync_news_t *news)
{
    uint64_t turn = sync_bus_turn(news->bus);

    if (news->turn != turn) {
        news->turn = turn;
        memset(news->taken, 0, sizeof news->taken);
    }
}

void sync_news_read(sync_news_t *news, l7s_now_t now, sync_news_fn hear, void *context)
{
    reading_t reading = {
        .news = news, .hear = hear, .context = context, .wall_ms = now.wall_ms};
    uint64_t last = now.wall_ms / SLOT_MS - 1;
    uint64_t first = last - 1;

    follow_turn(news);
    if (news->newest < first) {
        first = last - news->newest < SLOTS_MAX ? news->newest : last - SLOTS_MAX + 1;
    }
    reading.first = first;
    for (uint64_t slot = first; slot <= last; slot++) {
        sync_bus_name(news->bus, L7S_ITEM_NEWS, "", slot, reading.names[slot - first]);
    }
    if (sync_bus_read(news->bus, reading.names, last - first + 1, take, &reading) ==
        L7S_OK) {
        news->newest = last;
    }
}

/* ---- telling ---- */

bool sync_news_add(sync_news_t *news, const sync_news_item_t *item, uint32_t live_nodes,
                   l7s_now_t now)
{
    size_t share = ITEM_SIZE / (live_nodes > 0 ? live_nodes : 1);
    uint64_t slot = now.wall_ms / SLOT_MS;
    size_t told = news->told_slot == slot ? news->told_size : 0;
    uint8_t *record = news->records + news->count * RECORD_SIZE;

    if (news->count == RECORDS_MAX ||
        told + SEAL_SIZE + (news->count + 1) * RECORD_SIZE > share) {
        return false;
    }
    news->count++;
    put_le(record, item->key.lo, 8);
    put_le(record + 8, item->key.hi, 8);
    put_le(record + 16, item->limit, 4);
    put_le(record + 20, item->what.period, 4);
    put_le(record + 24, item->what.total, 8);
    put_le(record + 32, item->what.used, 8);
    return true;
}

void sync_news_tell(sync_news_t *news, l7s_now_t now)
{
    sync_bus_place_t place = {.kind = L7S_ITEM_NEWS,
                              .detail = "",
                              .index = now.wall_ms / SLOT_MS,
                              .ttl_seconds = TTL_S,
                              .append = true};
    size_t size = news->count * RECORD_SIZE;

    if (size == 0) {
        return;
    }
    if (news->told_slot != place.index) {
        news->told_slot = place.index;
        news->told_size = 0;
    }
    news->told_size += SEAL_SIZE + size;
    l7s_status_t status =
        sync_bus_write(news->bus, &place, (const char *)news->records, size);
    (void)status; /* what is not told now is told when it has moved again */
    news->count = 0;
}
