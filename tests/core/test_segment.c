/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment: its layout for every size, what refuses to attach, images under readers
 * that come, go and die, and the lease that a dead holder leaves.
 */
#include "../../core/segment/segment.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MB ((size_t)1 << 20)

static const uint8_t entropy[48] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJK";

typedef struct {
    void *memory;
    size_t size;
    l7s_shared_t shared;
} fixture_t;

static fixture_t *format(size_t size)
{
    fixture_t *f = calloc(1, sizeof *f);
    f->size = size;
    f->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(f->memory, MAP_FAILED);
    assert_int_equal(l7s_segment_format(f->memory, size, entropy), L7S_OK);
    assert_int_equal(l7s_segment_attach(f->memory, size, &f->shared), L7S_OK);
    return f;
}

static void unmap(fixture_t *f)
{
    munmap(f->memory, f->size);
    free(f);
}

static int create(void **state)
{
    *state = format(16 * MB);
    return 0;
}

static int destroy(void **state)
{
    unmap(*state);
    return 0;
}

static void assert_layout(const l7s_segment_t *header, size_t size)
{
    const uint64_t ends[] = {
        header->pins_at,
        header->pins_at + L7S_PINS * sizeof(l7s_pin_t),
        header->stats_at,
        header->stats_at + L7S_STATS_ROWS * sizeof(l7s_stats_row_t),
        header->bans_at,
        header->bans_at + l7s_bans_memory(header->ban_capacity),
        header->episodes_at,
        header->episodes_at + L7S_EPISODES * (sizeof(l7s_episode_t) + 4),
        header->dirty_at,
        header->dirty_at + header->buckets * (L7S_BUCKET_SLOTS / 8),
        header->table_at,
        header->table_at +
            (uint64_t)header->buckets * L7S_BUCKET_SLOTS * sizeof(l7s_slot_t),
        header->arena_at[0],
        header->arena_at[0] + header->arena_size,
        header->arena_at[1],
        header->arena_at[1] + header->arena_size,
        size,
    };
    assert_true(ends[0] >= sizeof *header);
    for (size_t i = 1; i < sizeof ends / sizeof ends[0]; i++) {
        assert_true(ends[i] >= ends[i - 1]);
    }
    assert_int_equal(header->table_at % 64, 0);
    assert_int_equal(header->bans_at % 64, 0);
    assert_int_equal(header->arena_at[0] % 4096, 0);
    assert_int_equal(header->arena_at[1] % 4096, 0);
    assert_int_equal(header->ban_capacity & (header->ban_capacity - 1), 0);
}

/* What the table left: it takes 64 buckets at a time. */
static uint64_t unused(const l7s_segment_t *header)
{
    return header->size - header->arena_at[1] - header->arena_size;
}

static void test_format_sizes_regions_by_the_memory(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint32_t bans;
        size_t arena;
    } cases[] = {
        {16 * MB, 4096, 2 * MB},
        {64 * MB, 16384, 8 * MB},
        {256 * MB, 16384, 32 * MB},
        {1024 * MB, 16384, 128 * MB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fixture_t *f = format(cases[i].size);
        assert_layout(f->shared.header, cases[i].size);
        assert_true(unused(f->shared.header) < 80 * 1024);
        assert_int_equal(f->shared.header->ban_capacity, cases[i].bans);
        assert_int_equal(f->shared.header->arena_size, cases[i].arena);
        unmap(f);
    }
}

static void test_format_odd_sizes_stay_inside(void **state)
{
    (void)state;
    static const size_t sizes[] = {16 * MB + 1, 17 * MB + 4095, 31 * MB, 33 * MB,
                                   100000007};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fixture_t *f = format(sizes[i]);
        assert_layout(f->shared.header, sizes[i]);
        unmap(f);
    }
}

static void test_format_below_minimum_is_refused(void **state)
{
    (void)state;
    char byte;
    assert_int_equal(l7s_segment_format(&byte, L7S_SEGMENT_SIZE_MIN - 1, entropy),
                     L7S_INVALID);
}

static void test_format_keys_come_from_the_entropy(void **state)
{
    fixture_t *f = *state;
    const l7s_segment_t *header = f->shared.header;
    assert_memory_equal(&header->place_key, entropy, 16);
    assert_memory_equal(&header->mint_key, entropy + 16, 16);
    assert_memory_equal(&header->boot_count_key, entropy + 32, 16);
    assert_int_equal(header->live_nodes, 1);
}

static void test_attach_other_layout_is_refused(void **state)
{
    fixture_t *f = *state;
    l7s_shared_t out;
    l7s_segment_t *header = f->shared.header;
    assert_int_equal(l7s_segment_attach(f->memory, f->size - 4096, &out), L7S_INVALID);
    assert_int_equal(l7s_segment_attach(f->memory, 100, &out), L7S_INVALID);
    uint64_t *fields[] = {&header->magic,       &header->size,      &header->pins_at,
                          &header->stats_at,    &header->bans_at,   &header->episodes_at,
                          &header->dirty_at,    &header->table_at,  &header->arena_at[0],
                          &header->arena_at[1], &header->arena_size};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        *fields[i] += 64;
        assert_int_equal(l7s_segment_attach(f->memory, f->size, &out), L7S_INVALID);
        *fields[i] -= 64;
    }
    uint32_t *numbers[] = {&header->version, &header->header_size, &header->buckets,
                           &header->ban_capacity};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        *numbers[i] += 1;
        assert_int_equal(l7s_segment_attach(f->memory, f->size, &out), L7S_INVALID);
        *numbers[i] -= 1;
    }
    assert_int_equal(l7s_segment_attach(f->memory, f->size, &out), L7S_OK);
}

static void test_attach_view_works_as_a_whole(void **state)
{
    fixture_t *f = *state;
    const l7s_rate_t rate = {1, 1, 1000000};
    const l7s_now_t now = {1000, 1000};
    l7s_hash128_t key = {0x123456789abcdef0, 7};
    l7s_slot_t *slot = l7s_table_claim(&f->shared.table, key, 1, &rate, now);
    assert_non_null(slot);
    l7s_table_mark(&f->shared.table, slot, 1, now);
    l7s_ban_t ban = {.digest = key, .until_ms = 2000};
    assert_int_equal(l7s_bans_put(&f->shared.bans, &ban, now), L7S_OK);
    assert_true(l7s_bans_find(&f->shared.bans, key, now, NULL));
    l7s_episode_facts_t facts = {.policy = "p"};
    assert_non_null(l7s_episode_open(&f->shared.episodes, key, &facts, now));
    assert_int_equal(l7s_stats_row(&f->shared.stats, "p"), 0);
    assert_int_equal(f->shared.header->table_stats.claimed, 1);
}

static void publish(const l7s_shared_t *shared, uint64_t revision)
{
    size_t capacity;
    uint64_t *arena = l7s_segment_spare_arena(shared, &capacity);
    assert_non_null(arena);
    arena[0] = revision;
    l7s_segment_publish(shared, 8, 1, revision);
}

static void test_pin_without_image_gives_nothing(void **state)
{
    fixture_t *f = *state;
    l7s_pin_t *pin = NULL;
    assert_null(l7s_segment_pin(&f->shared, &pin, getpid()));
    assert_non_null(pin);
    assert_int_equal(pin->generation, 0);
    assert_int_equal(pin->owner, getpid());
}

static void test_publish_makes_the_image_the_one_in_force(void **state)
{
    fixture_t *f = *state;
    l7s_pin_t *pin = NULL;
    for (uint64_t revision = 1; revision < 10; revision++) {
        publish(&f->shared, revision);
        const uint64_t *image = l7s_segment_pin(&f->shared, &pin, getpid());
        assert_int_equal(image[0], revision);
        assert_int_equal(pin->generation, revision);
        assert_int_equal(f->shared.header->image_size[revision % 2], 8);
        assert_int_equal(f->shared.header->revision, revision);
        l7s_segment_unpin(pin);
    }
}

static void test_spare_arena_is_held_back_by_a_reader(void **state)
{
    fixture_t *f = *state;
    l7s_pin_t *pin = NULL, *idle = NULL;
    size_t capacity;
    publish(&f->shared, 1);
    l7s_segment_pin(&f->shared, &idle, getpid());
    l7s_segment_unpin(idle);
    const uint64_t *image = l7s_segment_pin(&f->shared, &pin, getpid());
    assert_ptr_not_equal(pin, idle);
    publish(&f->shared, 2); /* the other arena: readers of the first do not matter */
    assert_null(l7s_segment_spare_arena(&f->shared, &capacity));
    assert_int_equal(image[0], 1);
    l7s_segment_unpin(pin);
    assert_ptr_equal(l7s_segment_spare_arena(&f->shared, &capacity), image);
    assert_int_equal(capacity, f->shared.header->arena_size);
    l7s_segment_drop_pin(pin);
    assert_int_equal(pin->owner, 0);
}

static void test_pin_none_left_is_counted(void **state)
{
    fixture_t *f = *state;
    publish(&f->shared, 1);
    l7s_pin_t *pins[L7S_PINS] = {NULL}, *more = NULL;
    for (int i = 0; i < L7S_PINS; i++) {
        assert_non_null(l7s_segment_pin(&f->shared, &pins[i], getpid()));
    }
    assert_null(l7s_segment_pin(&f->shared, &more, getpid()));
    assert_null(more);
    assert_int_equal(f->shared.header->unpinned, 1);
    l7s_segment_drop_pin(pins[17]);
    assert_non_null(l7s_segment_pin(&f->shared, &more, getpid()));
    assert_ptr_equal(more, pins[17]);
}

static void test_spare_arena_pins_of_the_dead_are_freed(void **state)
{
    fixture_t *f = *state;
    publish(&f->shared, 1);
    pid_t pid = fork();
    if (pid == 0) {
        l7s_pin_t *pins[3] = {NULL, NULL, NULL};
        for (int i = 0; i < 3; i++) {
            l7s_segment_pin(&f->shared, &pins[i], getpid());
        }
        l7s_segment_unpin(pins[2]);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(f->shared.pins[0].owner, pid);
    publish(&f->shared, 2);
    publish(&f->shared, 3); /* would wait for the reader of 1 */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(f->shared.pins[i].owner, 0);
        assert_int_equal(f->shared.pins[i].generation, 0);
    }
}

static void test_recover_pins_frees_those_of_the_dead_only(void **state)
{
    fixture_t *f = *state;
    l7s_pin_t *mine = NULL;
    publish(&f->shared, 1);
    l7s_segment_pin(&f->shared, &mine, getpid());
    pid_t pid = fork();
    if (pid == 0) {
        l7s_pin_t *pin = NULL;
        l7s_segment_pin(&f->shared, &pin, getpid());
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(f->shared.pins[1].owner, pid);
    l7s_segment_recover_pins(&f->shared);
    assert_int_equal(f->shared.pins[1].owner, 0);
    assert_int_equal(f->shared.pins[1].generation, 0);
    assert_int_equal(mine->owner, getpid());
    assert_int_not_equal(mine->generation, 0);
}

#define READERS 4
#define IMAGES 300
#define WORDS 64

static _Atomic bool stop;

static void *read_images(void *argument)
{
    const l7s_shared_t *shared = argument;
    l7s_pin_t *pin = NULL;
    uint64_t torn = 0;
    do { /* at least once: the writer may be done before this thread begins */
        const uint64_t *image = l7s_segment_pin(shared, &pin, getpid());
        for (int i = 1; image != NULL && i < WORDS; i++) {
            torn += image[i] != image[0];
        }
        l7s_segment_unpin(pin);
    } while (!stop);
    l7s_segment_drop_pin(pin);
    return (void *)(uintptr_t)torn;
}

/* No reader ever sees an image change under its eyes. */
static void test_pin_under_publication_images_are_immutable(void **state)
{
    fixture_t *f = *state;
    pthread_t readers[READERS];
    stop = false;
    for (int i = 0; i < READERS; i++) {
        pthread_create(&readers[i], NULL, read_images, &f->shared);
    }
    for (uint64_t revision = 1; revision <= IMAGES;) {
        size_t capacity;
        uint64_t *arena = l7s_segment_spare_arena(&f->shared, &capacity);
        if (arena == NULL) {
            sched_yield();
            continue;
        }
        for (int i = 0; i < WORDS; i++) {
            arena[i] = revision;
        }
        l7s_segment_publish(&f->shared, WORDS * 8, 1, revision++);
    }
    stop = true;
    for (int i = 0; i < READERS; i++) {
        void *torn;
        pthread_join(readers[i], &torn);
        assert_null(torn);
    }
}

static void test_sync_lease_of_a_dead_holder_is_handed_on(void **state)
{
    fixture_t *f = *state;
    pthread_mutex_t *lease = &f->shared.header->sync_lease;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(lease);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pthread_mutex_trylock(lease), EOWNERDEAD);
    assert_int_equal(pthread_mutex_consistent(lease), 0);
    assert_int_equal(pthread_mutex_unlock(lease), 0);
    assert_int_equal(pthread_mutex_trylock(lease), 0);
    assert_int_equal(pthread_mutex_unlock(lease), 0);
}

#define SEGMENT(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_sizes_regions_by_the_memory),
        cmocka_unit_test(test_format_odd_sizes_stay_inside),
        cmocka_unit_test(test_format_below_minimum_is_refused),
        SEGMENT(test_format_keys_come_from_the_entropy),
        SEGMENT(test_attach_other_layout_is_refused),
        SEGMENT(test_attach_view_works_as_a_whole),
        SEGMENT(test_pin_without_image_gives_nothing),
        SEGMENT(test_publish_makes_the_image_the_one_in_force),
        SEGMENT(test_spare_arena_is_held_back_by_a_reader),
        SEGMENT(test_pin_none_left_is_counted),
        SEGMENT(test_spare_arena_pins_of_the_dead_are_freed),
        SEGMENT(test_recover_pins_frees_those_of_the_dead_only),
        SEGMENT(test_pin_under_publication_images_are_immutable),
        SEGMENT(test_sync_lease_of_a_dead_holder_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
