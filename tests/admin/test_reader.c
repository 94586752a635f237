/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes out to one reader of events: the same bytes whatever the room is, from the
 * ring and from the log; and what it gets when it is too late.
 */
#include "../../admin_api/events/event_text.h"
#include "../../admin_api/events/reader.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static const admin_privacy_t full = {.addresses = ADMIN_ADDRESSES_FULL};

static const char *const frames[] = {
    "id: 1\nevent: ban.added\ndata: {\"n\":0}\n\n",
    "id: 2\nevent: ban.lifted\ndata: {\"n\":1}\n\n",
    "id: 3\nevent: ban.added\ndata: {\"n\":2}\n\n",
};

static bool add_frame(void *context, const admin_event_t *event)
{
    admin_frame_t frame = {.id = event->id, .type = 1u << event->type};
    frame.text = admin_event_frame(event, &full, &frame.size);
    assert_non_null(frame.text);
    admin_ring_add(context, &frame);
    return true;
}

/* Three events in the log, and in the ring. */
static void tell_three(stored_t *stored, admin_ring_t *ring)
{
    int64_t after = 0;
    bool more;
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    for (int i = 0; i < 3; i++) {
        json_t *data = json_pack("{s:i}", "n", i);
        assert_int_equal(
            admin_event_write(stored->store,
                              i == 1 ? ADMIN_EVENT_BAN_LIFTED : ADMIN_EVENT_BAN_ADDED,
                              data, 1000),
            L7S_OK);
        json_decref(data);
    }
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    admin_ring_begin(ring, 0);
    assert_int_equal(admin_event_each(stored->store, ADMIN_EVENT_ALL, 10, &after, &more,
                                      add_frame, ring),
                     L7S_OK);
}

/* All that goes out in pieces of at most `room` bytes. */
static void read_all(stored_t *stored, const admin_ring_t *ring, admin_reader_t *reader,
                     size_t room, char out[512])
{
    size_t size = 0;
    for (int round = 0; round < 200 && reader->after < 3; round++) {
        admin_outlet_t outlet = {out + size, room, 0};
        if (ring != NULL) {
            admin_reader_follow(reader, ring, &outlet);
        } else {
            assert_int_equal(admin_reader_catch_up(reader, stored->store, &full, &outlet),
                             L7S_OK);
        }
        assert_true(outlet.used <= room);
        size += outlet.used;
    }
    assert_int_equal(reader->after, 3);
    out[size] = '\0';
}

static void test_reader_gets_the_same_bytes_in_any_room(void **state)
{
    static admin_ring_t ring;
    stored_t *stored = *state;
    char whole[256], out[512];
    tell_three(stored, &ring);
    snprintf(whole, sizeof whole, "%s%s%s", frames[0], frames[1], frames[2]);
    for (size_t room = 1; room <= strlen(whole) + 1; room++) {
        admin_reader_t follows = {.types = ADMIN_EVENT_ALL}, catches = follows;
        read_all(stored, &ring, &follows, room, out);
        assert_string_equal(out, whole);
        read_all(stored, NULL, &catches, room, out);
        assert_string_equal(out, whole);
    }
    admin_ring_clear(&ring);
}

static void test_reader_passes_over_what_it_did_not_ask_for(void **state)
{
    static admin_ring_t ring;
    stored_t *stored = *state;
    char out[512];
    tell_three(stored, &ring);
    admin_reader_t one = {.types = 1u << ADMIN_EVENT_BAN_LIFTED}, other = one;
    read_all(stored, &ring, &one, 512, out);
    assert_string_equal(out, frames[1]);
    read_all(stored, NULL, &other, 512, out);
    assert_string_equal(out, frames[1]);
    admin_ring_clear(&ring);
}

static void test_reader_that_is_too_late_is_reset(void **state)
{
    static admin_ring_t ring;
    stored_t *stored = *state;
    char out[256];
    size_t deleted;
    tell_three(stored, &ring);
    admin_ring_clear(&ring);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_event_prune(stored->store, 0, 1, &deleted), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
    admin_reader_t reader = {.types = ADMIN_EVENT_ALL, .skip = 5};
    admin_outlet_t outlet = {out, sizeof out, 0};
    assert_int_equal(admin_reader_catch_up(&reader, stored->store, &full, &outlet),
                     L7S_OK);
    assert_int_equal(outlet.used, 0);
    assert_true(admin_reader_pending(&reader, &outlet));
    out[outlet.used] = '\0';
    assert_string_equal(out,
                        "id: 3\nevent: reset\ndata: {\"first_id\":3,\"last_id\":3}\n\n");
    assert_int_equal(reader.after, 3);
    assert_int_equal(reader.skip, 0);
    assert_false(admin_reader_pending(&reader, &outlet));
}

static void test_reader_heartbeat_waits_for_room(void **state)
{
    char out[64];
    (void)state;
    admin_reader_t reader = {.after = 12};
    admin_outlet_t narrow = {out, 4, 0}, wide = {out, sizeof out, 0};
    admin_reader_heartbeat(&reader, &narrow);
    assert_int_equal(narrow.used, 0);
    assert_true(admin_reader_pending(&reader, &wide));
    out[wide.used] = '\0';
    assert_string_equal(out, ":\nid: 12\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_reader_gets_the_same_bytes_in_any_room),
        stored_test(test_reader_passes_over_what_it_did_not_ask_for),
        stored_test(test_reader_that_is_too_late_is_reset),
        cmocka_unit_test(test_reader_heartbeat_waits_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
