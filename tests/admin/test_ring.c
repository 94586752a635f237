/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of frames: what is found behind a position, and its two bounds.
 */
#include "../../admin_api/events/ring.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    admin_ring_t *ring = calloc(1, sizeof *ring);
    admin_ring_begin(ring, 10);
    *state = ring;
    return 0;
}

static int teardown(void **state)
{
    admin_ring_clear(*state);
    free(*state);
    return 0;
}

static void add(admin_ring_t *ring, int64_t id, unsigned type, size_t size)
{
    admin_frame_t frame = {.id = id, .type = type, .size = size, .text = malloc(size)};
    assert_non_null(frame.text);
    memset(frame.text, 'x', size);
    admin_ring_add(ring, &frame);
}

static int64_t next(const admin_ring_t *ring, int64_t after, unsigned types)
{
    const admin_frame_t *frame = admin_ring_next(ring, after, types);
    return frame == NULL ? 0 : frame->id;
}

static void test_ring_next_finds_by_position_and_type(void **state)
{
    admin_ring_t *ring = *state;
    assert_int_equal(next(ring, 10, 3), 0);
    add(ring, 11, 1, 4);
    add(ring, 13, 2, 4); /* 12 was rolled back */
    add(ring, 14, 1, 4);
    assert_int_equal(next(ring, 10, 3), 11);
    assert_int_equal(next(ring, 11, 3), 13);
    assert_int_equal(next(ring, 12, 3), 13);
    assert_int_equal(next(ring, 11, 1), 14);
    assert_int_equal(next(ring, 14, 3), 0);
    assert_int_equal(ring->base, 10);
    assert_int_equal(ring->head, 14);
}

static void test_ring_drops_the_oldest_beyond_its_count(void **state)
{
    admin_ring_t *ring = *state;
    for (int64_t id = 11; id <= 10 + ADMIN_RING_FRAMES + 5; id++) {
        add(ring, id, 1, 4);
    }
    assert_int_equal(ring->count, ADMIN_RING_FRAMES);
    assert_int_equal(ring->base, 15);
    assert_int_equal(next(ring, 15, 1), 16);
}

static void test_ring_drops_the_oldest_beyond_its_bytes(void **state)
{
    admin_ring_t *ring = *state;
    for (int64_t id = 11; id <= 15; id++) {
        add(ring, id, 1, ADMIN_RING_BYTES / 3);
    }
    assert_true(ring->bytes <= ADMIN_RING_BYTES);
    assert_int_equal(ring->base, 12);
    add(ring, 16, 1, ADMIN_RING_BYTES * 2); /* one larger than all stands alone */
    assert_int_equal(ring->count, 1);
    assert_int_equal(ring->base, 15);
}

static void test_ring_clear_keeps_the_head(void **state)
{
    admin_ring_t *ring = *state;
    add(ring, 11, 1, 4);
    admin_ring_clear(ring);
    assert_int_equal(ring->base, 11);
    assert_int_equal(ring->bytes, 0);
    add(ring, 12, 1, 4);
    assert_int_equal(next(ring, 11, 1), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring_next_finds_by_position_and_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ring_drops_the_oldest_beyond_its_count,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_drops_the_oldest_beyond_its_bytes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_clear_keeps_the_head, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
