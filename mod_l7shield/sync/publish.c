/* SPDX-License-Identifier: Apache-2.0
 *
 * See publish.h. This process is the only one that writes arenas, so it reads the image
 * in force without a pin.
 */
#include "publish.h"
#include "../../core/compile/compile.h"
#include "clock.h"
#include "log.h"
#include <stdlib.h>
#include <time.h>

/* A worker holds a pin for microseconds; only one that was stopped holds it longer. */
#define ARENA_TRIES 10
#define ARENA_PAUSE_NS 1000000
#define PINNED_BEFORE_LOG_MS 5000
#define LOG_INTERVAL_MS 60000
#define RETRY_MS 60000

struct sync_publisher {
    const l7s_shared_t *shared;
    const l7s_image_t *image; /* in force; checking it takes a walk through it */
    l7s_config_t *config;
    l7s_hashkey_t count_key; /* of `config` */
    uint64_t config_epoch, revision;
    uint64_t next_expiry_ms;  /* wall, 0: none */
    uint64_t pinned_since_ms; /* mono, 0: the spare arena was free at the last look */
    sync_log_gate_t pinned_gate;
    bool told_no_geo;
};

/* The image that the segment says is in force; NULL: none, or not one for this program.
 */
static const l7s_image_t *find_image(const l7s_shared_t *shared)
{
    l7s_segment_t *header = shared->header;
    uint64_t generation = atomic_load(&header->image_generation);
    unsigned arena = generation % 2;

    if (generation == 0) {
        return NULL;
    }
    return l7s_image_check((const char *)header + header->arena_at[arena],
                           (size_t)atomic_load(&header->image_size[arena]));
}

l7s_status_t sync_publisher_create(const l7s_shared_t *shared, sync_publisher_t **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return L7S_NO_MEMORY;
    }
    (*out)->shared = shared;
    (*out)->image = find_image(shared);
    return L7S_OK;
}

void sync_publisher_free(sync_publisher_t *publisher)
{
    if (publisher != NULL) {
        l7s_config_free(publisher->config);
        free(publisher);
    }
}

const l7s_image_t *sync_publisher_image(const sync_publisher_t *publisher)
{
    return publisher->image;
}

const l7s_config_t *sync_publisher_config(const sync_publisher_t *publisher)
{
    return publisher->config;
}

const l7s_hashkey_t *sync_publisher_count_key(const sync_publisher_t *publisher)
{
    if (publisher->config != NULL) {
        return &publisher->count_key;
    }
    return publisher->image != NULL ? l7s_image_count_key(publisher->image)
                                    : &publisher->shared->header->boot_count_key;
}

static void *spare_arena(sync_publisher_t *publisher, size_t *capacity, l7s_now_t now)
{
    const struct timespec pause = {.tv_nsec = ARENA_PAUSE_NS};
    uint64_t now_ms = sync_mono_ms(now);

    for (unsigned i = 0; i < ARENA_TRIES; i++) {
        void *arena = l7s_segment_spare_arena(publisher->shared, capacity);
        if (arena != NULL) {
            publisher->pinned_since_ms = 0;
            return arena;
        }
        (void)nanosleep(&pause, NULL);
    }
    if (publisher->pinned_since_ms == 0) {
        publisher->pinned_since_ms = now_ms;
    }
    uint64_t waited_ms = now_ms - publisher->pinned_since_ms;
    if (waited_ms >= PINNED_BEFORE_LOG_MS &&
        sync_log_gate(&publisher->pinned_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_ERROR, "L7S2022",
                 "new policies wait since %llu s for a worker that still evaluates old "
                 "ones; a process of httpd is stopped or hangs",
                 (unsigned long long)(waited_ms / 1000));
    }
    return NULL;
}

static void log_refusal(l7s_status_t status, uint64_t revision, size_t needed,
                        size_t capacity)
{
    if (status == L7S_TOO_BIG) {
        sync_log(
            SYNC_ERROR, "L7S2021",
            "revision %llu needs %zu KiB and an image may have %zu KiB; the policies "
            "in force stay (raise L7ShieldMemory and restart httpd)",
            (unsigned long long)revision, needed / 1024, capacity / 1024);
    } else if (status == L7S_INVALID) {
        sync_log(
            SYNC_ERROR, "L7S2021",
            "revision %llu cannot be compiled: its regular expressions, parameters "
            "or cookies are too many or too complex together; the policies in force stay",
            (unsigned long long)revision);
    } else {
        sync_log(SYNC_ERROR, "L7S2021",
                 "revision %llu cannot be compiled (%s); the policies in force stay",
                 (unsigned long long)revision, l7s_status_name(status));
    }
}

/* Policies may be meant for other nodes of the fleet: said once, and not an error. */
static void warn_without_geo(sync_publisher_t *publisher)
{
    if (publisher->image != NULL && !publisher->told_no_geo &&
        l7s_image_needs_origin(publisher->image) &&
        atomic_load(&publisher->shared->header->geo_files) == 0) {
        publisher->told_no_geo = true;
        sync_log(SYNC_WARN, "L7S2023",
                 "policies or lists ask for countries or ASNs, which never match on this "
                 "node: L7ShieldGeoDatabase names no database");
    }
}

/* Compiles into the spare arena and makes it the image. */
static l7s_status_t publish(sync_publisher_t *publisher, const l7s_config_t *config,
                            const l7s_hashkey_t *count_key, uint64_t config_epoch,
                            uint64_t revision, l7s_now_t now)
{
    size_t capacity = 0, size = 0;
    uint64_t next_expiry_ms = 0;
    void *arena = spare_arena(publisher, &capacity, now);

    if (arena == NULL) {
        return L7S_TIMEOUT;
    }
    l7s_status_t status = l7s_image_compile(config, count_key, revision, now.wall_ms,
                                            &publisher->shared->stats, arena, capacity,
                                            &size, &next_expiry_ms);
    if (status != L7S_OK) {
        log_refusal(status, revision, size, capacity);
        return status;
    }
    l7s_segment_publish(publisher->shared, size, config_epoch, revision);
    publisher->image = find_image(publisher->shared);
    publisher->next_expiry_ms = next_expiry_ms;
    warn_without_geo(publisher);
    return L7S_OK;
}

l7s_status_t sync_publisher_offer(sync_publisher_t *publisher, l7s_config_t *config,
                                  const l7s_hashkey_t *count_key, uint64_t config_epoch,
                                  uint64_t revision, l7s_now_t now)
{
    l7s_status_t status =
        publish(publisher, config, count_key, config_epoch, revision, now);

    if (status != L7S_OK) {
        return status;
    }
    l7s_config_free(publisher->config);
    publisher->config = config;
    publisher->count_key = *count_key;
    publisher->config_epoch = config_epoch;
    publisher->revision = revision;
    sync_log(SYNC_INFO, "L7S2020", "revision %llu is in force: %zu policies, %zu lists",
             (unsigned long long)revision, config->policy_count, config->list_count);
    return L7S_OK;
}

void sync_publisher_tick(sync_publisher_t *publisher, l7s_now_t now)
{
    if (publisher->config == NULL || publisher->next_expiry_ms == 0 ||
        now.wall_ms < publisher->next_expiry_ms) {
        return;
    }
    l7s_status_t status = publish(publisher, publisher->config, &publisher->count_key,
                                  publisher->config_epoch, publisher->revision, now);
    if (status != L7S_OK && status != L7S_TIMEOUT) {
        publisher->next_expiry_ms = now.wall_ms + RETRY_MS; /* not at every tick */
    }
}
