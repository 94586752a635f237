/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory file and its life. The parent creates it and keeps it in httpd's retained
 * data, since a restart unloads this module with all its variables. Children get the
 * mapping by fork, l7shield-sync gets the descriptor: nothing has a name that could be
 * left over, and nobody has to attach.
 *
 * A pin is claimed once per thread and found again through a pthread key: the threads are
 * httpd's (or mod_http2's), and a thread-local destructor would outlive this module.
 */
#include "shared_memory.h"

#include "apr_strings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* The version stands in the key: a module with another structure starts its own. */
#define RETAINED "l7shield.segment.1"

static pthread_key_t pin_key;
static bool pin_key_made;
static pid_t pin_owner;

static shield_segment_t *retained(void)
{
    shield_segment_t *segment = ap_retained_data_get(RETAINED);
    if (!segment) {
        segment = ap_retained_data_create(RETAINED, sizeof(*segment));
        segment->fd = -1;
    }
    return segment;
}

/* A formatted memory file in *segment. Returns 0 or an errno. */
static int create(shield_segment_t *segment, size_t size)
{
    uint8_t random[48];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return errno;
    }
    int fd = memfd_create("l7shield", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return errno;
    }
    void *memory = MAP_FAILED;
    /* Sealed, so that no holder of the descriptor can make a reader fault. */
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (memory == MAP_FAILED) {
        int error = errno;
        close(fd);
        return error;
    }
    if (l7s_segment_format(memory, size, random) != L7S_OK) {
        munmap(memory, size);
        close(fd);
        return EINVAL;
    }
    segment->fd = fd;
    segment->memory = memory;
    segment->size = size;
    return 0;
}

/* Lets go of a segment that no longer fits; children that still run keep their mapping.
 */
static void leave(shield_segment_t *segment, const l7s_shared_t *shared)
{
    if (shared) {
        /* Its sync process belongs to an older generation now, and retires. */
        atomic_store(&shared->header->config_generation, segment->generation);
    }
    munmap(segment->memory, segment->size);
    close(segment->fd);
    segment->fd = -1;
}

const shield_segment_t *shield_segment_open(server_rec *server, size_t size)
{
    shield_segment_t *segment = retained();
    l7s_shared_t *shared = &shield_process.shared;
    segment->generation++;
    if (segment->fd >= 0) {
        l7s_status_t status = l7s_segment_attach(segment->memory, segment->size, shared);
        if (status != L7S_OK || segment->size != size) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server,
                         "L7S1001: %s: a new shared memory of %" APR_SIZE_T_FMT
                         " bytes is used; counters begin anew",
                         status == L7S_OK ? "L7ShieldMemory has changed"
                                          : "the module has changed",
                         size);
            leave(segment, status == L7S_OK ? shared : NULL);
        }
    }
    if (segment->fd < 0) {
        int error = create(segment, size);
        if (error != 0 ||
            l7s_segment_attach(segment->memory, segment->size, shared) != L7S_OK) {
            ap_log_error(APLOG_MARK, APLOG_CRIT, error, server,
                         "L7S1002: no shared memory of %" APR_SIZE_T_FMT
                         " bytes (L7ShieldMemory)",
                         size);
            return NULL;
        }
    }
    atomic_store(&shared->header->config_generation, segment->generation);
    shield_process.attached = true;
    return segment;
}

static void drop_pin(void *pin)
{
    l7s_segment_drop_pin(pin);
}

/* The thread that ends the process runs no destructors: under prefork, where it is the
 * only one, its pin would be lost until the sync process finds its owner dead. */
static apr_status_t delete_pin_key(void *unused)
{
    (void)unused;
    l7s_pin_t *pin = pthread_getspecific(pin_key);
    if (pin) {
        l7s_segment_drop_pin(pin);
    }
    pthread_key_delete(pin_key);
    pin_key_made = false;
    return APR_SUCCESS;
}

void shield_segment_child(apr_pool_t *pool, server_rec *server)
{
    pin_owner = getpid();
    if (pthread_key_create(&pin_key, drop_pin) != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server,
                     "L7S1003: no thread key left: this child admits everything");
        return;
    }
    pin_key_made = true;
    /* Before the module can be unloaded: the key's destructor is code of ours. */
    apr_pool_cleanup_register(pool, NULL, delete_pin_key, apr_pool_cleanup_null);
}

const l7s_image_t *shield_image_hold(l7s_pin_t **pin)
{
    if (!pin_key_made || !shield_process.attached) {
        return NULL;
    }
    l7s_pin_t *known = pthread_getspecific(pin_key);
    *pin = known;
    const l7s_image_t *image = l7s_segment_pin(&shield_process.shared, pin, pin_owner);
    if (*pin != known) {
        (void)pthread_setspecific(pin_key, *pin);
    }
    return image;
}

uint64_t shield_mono_us(void)
{
    struct timespec mono;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    return (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000;
}

l7s_now_t shield_now(apr_time_t wall)
{
    return (l7s_now_t){.mono_us = shield_mono_us(), .wall_ms = (uint64_t)wall / 1000};
}
