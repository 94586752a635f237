/* SPDX-License-Identifier: Apache-2.0
 *
 * What tracking many clients costs: fills the table of a segment with `keys` counters and
 * looks all of them up again in another order. Prints what was kept, bytes and
 * nanoseconds; bench/memory.py adds the instructions of look_up() by callgrind.
 *
 * memory MEBIBYTES KEYS LOOKUPS
 */
#include "../core/segment/segment.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static const l7s_hashkey_t names = {0x6d656d6f7279, 1};
static const l7s_rate_t rate = {.requests = 100, .burst = 100, .period_us = 60000000};

static l7s_hash128_t key_of(uint64_t number)
{
    return l7s_siphash128(&names, &number, sizeof number);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Every key takes a token, as a request would: none of the counters is idle. */
static uint64_t fill(const l7s_table_t *table, uint64_t keys, l7s_now_t now)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < keys; i++) {
        l7s_slot_t *slot = l7s_table_claim(table, key_of(i), 1, &rate, now);
        kept += slot != NULL && l7s_bucket_take(&rate, &slot->tat, now.mono_us, 1);
    }
    return kept;
}

/* The keys are made before, so that only look-ups are measured. */
__attribute__((noinline)) uint64_t look_up(const l7s_table_t *table,
                                           const l7s_hash128_t *keys, uint64_t count);
uint64_t look_up(const l7s_table_t *table, const l7s_hash128_t *keys, uint64_t count)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        found += l7s_table_find(table, keys[i]) != NULL;
    }
    return found;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MEBIBYTES KEYS LOOKUPS\n", argv[0]);
        return 2;
    }
    size_t size = (size_t)strtoull(argv[1], NULL, 10) << 20;
    uint64_t keys = strtoull(argv[2], NULL, 10), lookups = strtoull(argv[3], NULL, 10);
    const uint8_t random[48] = {7};
    const l7s_now_t now = {.mono_us = 1000000000, .wall_ms = 1};
    l7s_hash128_t *order = calloc(lookups, sizeof *order);
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    l7s_shared_t shared;
    if (order == NULL || memory == MAP_FAILED ||
        l7s_segment_format(memory, size, random) != L7S_OK ||
        l7s_segment_attach(memory, size, &shared) != L7S_OK) {
        fprintf(stderr, "no segment of %zu bytes\n", size);
        return 1;
    }
    uint64_t kept = fill(&shared.table, keys, now);
    for (uint64_t i = 0; i < lookups; i++) {
        order[i] = key_of(i * 2654435761U % keys);
    }
    double begin = seconds();
    uint64_t found = look_up(&shared.table, order, lookups);
    double took = seconds() - begin;
    printf("{\"memory_bytes\": %zu, \"slots\": %" PRIu32 ", \"slot_bytes\": %zu, "
           "\"keys\": %" PRIu64 ", \"counted\": %" PRIu64 ", \"live_evictions\": %" PRIu64
           ", \"overflowed\": %" PRIu64
           ", \"found_percent\": %.2f, \"lookup_ns\": %.1f}\n",
           size, l7s_table_size(&shared.table), sizeof(l7s_slot_t), keys, kept,
           atomic_load(&shared.table.stats->evicted_live),
           atomic_load(&shared.table.stats->overflowed),
           100.0 * (double)found / (double)lookups, took * 1e9 / (double)lookups);
    free(order);
    return 0;
}
