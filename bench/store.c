/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tick's exchange with memcached costs this process: l7shield-sync's own pipeline
 * beside the same counts through libmemcached (add and increment without an answer, then
 * reads in chunks of 1,000: the fastest safe way, one handle per server, no Nagle). CPU
 * time of the client, user and system, is what a web server's machine pays; medians of
 * several rounds, both ways in turn, so that the ratios hold on a noisy machine.
 *
 * store ADDRESS:PORT [KEYS]: with KEYS one exchange of so many new keys through the own
 * pipeline and nothing else, for callgrind.
 */
#include "../core/bus/meta.h"
#include <inttypes.h>
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS_MAX 100000
#define ROUNDS_MAX 51
#define READ_CHUNK 1000
#define TTL_S 60
#define DEADLINE_MS 10000
#define TICK_MS 100.0

typedef struct {
    double cpu_ns, wall_ms; /* of the client */
} cost_t;

typedef struct {
    l7s_meta_t *meta;
    memcached_st *library;
    l7s_meta_op_t *ops;
    const char **names;
    size_t *sizes;
} bench_t;

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* As long and as random as the product's names. */
static void name_keys(bench_t *bench, uint64_t seed, size_t count)
{
    const l7s_hashkey_t key = {seed, count};
    for (size_t i = 0; i < count; i++) {
        l7s_fleet_counter_name(&key, (l7s_hash128_t){i, 0}, 1, bench->ops[i].key);
        bench->ops[i].server = 0;
        bench->ops[i].delta = 1;
        bench->ops[i].ttl = TTL_S;
        bench->names[i] = bench->ops[i].key;
        bench->sizes[i] = strlen(bench->ops[i].key);
    }
}

/* ---- the two ways ---- */

static bool exchange_own(bench_t *bench, size_t count)
{
    l7s_meta_run(bench->meta, bench->ops, count, DEADLINE_MS, 0);
    for (size_t i = 0; i < count; i++) {
        if (bench->ops[i].status != L7S_META_OK) {
            return false;
        }
    }
    return true;
}

static bool add_with_library(bench_t *bench, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t ignored;
        if (memcached_add(bench->library, bench->names[i], bench->sizes[i], "0", 1, TTL_S,
                          0) != MEMCACHED_SUCCESS ||
            memcached_increment(bench->library, bench->names[i], bench->sizes[i], 1,
                                &ignored) != MEMCACHED_SUCCESS) {
            return false;
        }
    }
    return true;
}

static bool exchange_with_library(bench_t *bench, size_t count)
{
    size_t found = 0;
    memcached_result_st result;
    if (!add_with_library(bench, count) ||
        !memcached_result_create(bench->library, &result)) {
        return false;
    }
    for (size_t at = 0; at < count; at += READ_CHUNK) {
        size_t chunk = count - at < READ_CHUNK ? count - at : READ_CHUNK;
        memcached_return_t status;
        if (memcached_mget(bench->library, bench->names + at, bench->sizes + at, chunk) !=
            MEMCACHED_SUCCESS) {
            break;
        }
        while (memcached_fetch_result(bench->library, &result, &status)) {
            found += strtoull(memcached_result_value(&result), NULL, 10) > 0;
        }
    }
    memcached_result_free(&result);
    return found == count;
}

typedef bool (*exchange_fn)(bench_t *bench, size_t count);

static bool measure(bench_t *bench, exchange_fn exchange, size_t count, cost_t *cost)
{
    double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);
    bool fine = exchange(bench, count);
    cost->cpu_ns = (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)count;
    cost->wall_ms = (clock_ns(CLOCK_MONOTONIC) - wall) / 1e6;
    return fine;
}

/* ---- rounds ---- */

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static cost_t median(const cost_t *costs, size_t count)
{
    double cpu[ROUNDS_MAX], wall[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++) {
        cpu[i] = costs[i].cpu_ns;
        wall[i] = costs[i].wall_ms;
    }
    qsort(cpu, count, sizeof *cpu, by_size);
    qsort(wall, count, sizeof *wall, by_size);
    return (cost_t){cpu[count / 2], wall[count / 2]};
}

/* Each round makes its numbers first, as every counter's first push does. */
static bool compare(bench_t *bench, size_t count, size_t rounds)
{
    cost_t own_new[ROUNDS_MAX], library_new[ROUNDS_MAX], own[ROUNDS_MAX],
        library[ROUNDS_MAX];
    bool fine = true;
    for (size_t i = 0; fine && i < rounds; i++) {
        name_keys(bench, 2 * i, count);
        fine = measure(bench, exchange_own, count, &own_new[i]) &&
               measure(bench, exchange_own, count, &own[i]);
        name_keys(bench, 2 * i + 1, count);
        fine = fine && measure(bench, exchange_with_library, count, &library_new[i]) &&
               measure(bench, exchange_with_library, count, &library[i]);
    }
    if (!fine) {
        fprintf(stderr, "store: an exchange of %zu keys failed\n", count);
        return false;
    }
    cost_t a = median(own, rounds), b = median(library, rounds);
    cost_t a_new = median(own_new, rounds), b_new = median(library_new, rounds);
    printf("{\"bench\":\"store\",\"keys\":%zu,\"rounds\":%zu,"
           "\"own_cpu_share\":%.3f,\"own_cpu_share_new_keys\":%.3f,"
           "\"own_time_share\":%.3f,\"own_cpu_ns_per_key\":%.0f,"
           "\"library_cpu_ns_per_key\":%.0f,\"own_ticks\":%.3f,"
           "\"own_ticks_new_keys\":%.3f,\"library_ticks\":%.3f}\n",
           count, rounds, a.cpu_ns / b.cpu_ns, a_new.cpu_ns / b_new.cpu_ns,
           a.wall_ms / b.wall_ms, a.cpu_ns, b.cpu_ns, a.wall_ms / TICK_MS,
           a_new.wall_ms / TICK_MS, b.wall_ms / TICK_MS);
    fflush(stdout);
    return true;
}

/* ---- set-up ---- */

static memcached_st *open_library(const char *address)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host) {
        return NULL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    memcached_st *library = memcached_create(NULL);
    if (library) {
        memcached_server_add(library, host, (in_port_t)strtoul(colon + 1, NULL, 10));
        memcached_behavior_set(library, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
        memcached_behavior_set(library, MEMCACHED_BEHAVIOR_NOREPLY, 1);
        memcached_behavior_set(library, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, DEADLINE_MS);
    }
    return library;
}

int main(int argc, char **argv)
{
    static const struct {
        size_t keys, rounds;
    } sizes[] = {{100, 51}, {1000, 31}, {10000, 15}, {KEYS_MAX, 7}};
    bench_t bench = {.ops = calloc(KEYS_MAX, sizeof *bench.ops),
                     .names = calloc(KEYS_MAX, sizeof *bench.names),
                     .sizes = calloc(KEYS_MAX, sizeof *bench.sizes)};
    const char *address = argc > 1 ? argv[1] : "";
    bench.library = open_library(address);
    if (!bench.ops || !bench.names || !bench.sizes || !bench.library ||
        l7s_meta_create(&address, 1, &bench.meta) != L7S_OK) {
        fprintf(stderr, "usage: store ADDRESS:PORT [KEYS]\n");
        return 2;
    }
    size_t alone = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bool fine = true;
    if (alone > 0) {
        name_keys(&bench, 0, alone < KEYS_MAX ? alone : KEYS_MAX);
        fine = exchange_own(&bench, alone < KEYS_MAX ? alone : KEYS_MAX);
    }
    for (size_t i = 0; fine && alone == 0 && i < sizeof sizes / sizeof sizes[0]; i++) {
        fine = compare(&bench, sizes[i].keys, sizes[i].rounds);
    }
    l7s_meta_free(bench.meta);
    memcached_free(bench.library);
    free(bench.ops);
    free(bench.names);
    free(bench.sizes);
    return fine ? 0 : 1;
}
