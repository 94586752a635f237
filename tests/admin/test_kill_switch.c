/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is obeyed when the API and an emergency speak one after the other.
 */
#include "../../admin_api/fleet/kill_switch.h"
#include "../../admin_api/store/event_log.h"
#include "../../core/mode.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static l7s_mode_item_t item(l7s_mode_t mode, uint64_t epoch, uint64_t number)
{
    return (l7s_mode_item_t){.mode = mode, .config_epoch = epoch, .number = number};
}

static admin_kill_switch_t at_revision(uint64_t revision)
{
    admin_kill_switch_t state = {0};
    l7s_mode_item_t settings = item(L7S_MODE_ENFORCE, 1, revision);
    assert_true(admin_kill_switch_set(&state, false, false, &settings));
    assert_int_equal(state.item.number, revision);
    return state;
}

static void test_kill_switch_set_only_for_another_mode(void **state)
{
    (void)state;
    admin_kill_switch_t own = at_revision(3);
    l7s_mode_item_t settings = item(L7S_MODE_ENFORCE, 1, 9);
    assert_false(admin_kill_switch_set(&own, true, false, &settings));
    assert_false(admin_kill_switch_set(&own, true, true, &settings));
    settings = item(L7S_MODE_OFF, 1, 10);
    assert_true(admin_kill_switch_set(&own, true, false, &settings));
    assert_int_equal(own.item.number, 10);
}

static void test_kill_switch_emergency_stays_until_somebody_speaks(void **state)
{
    (void)state;
    admin_kill_switch_t own = at_revision(3);
    l7s_mode_item_t emergency = item(L7S_MODE_OFF, 1, 40);
    assert_true(admin_kill_switch_adopt(&own, &emergency));
    assert_true(admin_kill_switch_emergency(&own));
    assert_false(admin_kill_switch_adopt(&own, &emergency)); /* it is ours by now */
    l7s_mode_item_t settings = item(L7S_MODE_ENFORCE, 1, 12);
    assert_false(admin_kill_switch_set(&own, true, false, &settings));
    assert_int_equal(own.item.mode, L7S_MODE_OFF);
    /* Said again by an operator it is news, behind the emergency's number. */
    assert_true(admin_kill_switch_set(&own, true, true, &settings));
    assert_int_equal(own.item.mode, L7S_MODE_ENFORCE);
    assert_int_equal(own.item.number, 41);
    assert_false(admin_kill_switch_emergency(&own));
}

static void test_kill_switch_adopt_is_ordered(void **state)
{
    static const struct {
        uint64_t epoch, number;
        l7s_mode_t mode;
        bool later;
    } cases[] = {
        {1, 2, L7S_MODE_OFF, false},    {1, 3, L7S_MODE_ENFORCE, false},
        {1, 3, L7S_MODE_OFF, true}, /* both drew this number: nodes have seen that one */
        {1, 4, L7S_MODE_OBSERVE, true}, {0, 99, L7S_MODE_OFF, false},
        {2, 0, L7S_MODE_OFF, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_kill_switch_t own = at_revision(3);
        l7s_mode_item_t there = item(cases[i].mode, cases[i].epoch, cases[i].number);
        assert_int_equal(admin_kill_switch_adopt(&own, &there), cases[i].later);
    }
}

static void test_kill_switch_new_epoch_carries_an_emergency_on(void **state)
{
    (void)state;
    admin_kill_switch_t own = at_revision(3);
    l7s_mode_item_t emergency = item(L7S_MODE_OBSERVE, 1, 40);
    assert_true(admin_kill_switch_adopt(&own, &emergency));
    l7s_mode_item_t settings = item(L7S_MODE_ENFORCE, 2, 1);
    assert_true(admin_kill_switch_set(&own, true, false, &settings));
    assert_int_equal(own.item.mode, L7S_MODE_OBSERVE);
    assert_int_equal(own.item.config_epoch, 2);
    assert_false(admin_kill_switch_set(&own, true, false, &settings));
}

static bool see(void *context, const admin_event_t *event)
{
    assert_int_equal(event->type, ADMIN_EVENT_MODE_CHANGED);
    json_t *data = json_loads(event->data, 0, NULL);
    strcat(context, json_string_value(json_object_get(data, "mode")));
    strcat(context, " ");
    strcat(context, json_string_value(json_object_get(data, "because")));
    strcat(context, "; ");
    json_decref(data);
    return true;
}

static void test_kill_switch_save_tells_of_another_mode(void **state)
{
    stored_t *stored = *state;
    char told[256] = "";
    int64_t after = 0;
    bool more;
    admin_kill_switch_t own = at_revision(3);
    l7s_mode_item_t emergency = item(L7S_MODE_OFF, 1, 40);
    assert_int_equal(admin_kill_switch_save(stored->store, &own), L7S_OK);
    emergency.until_ms = 5000;
    assert_true(admin_kill_switch_adopt(&own, &emergency));
    assert_int_equal(admin_kill_switch_save(stored->store, &own), L7S_OK);
    assert_int_equal(admin_kill_switch_save(stored->store, &own), L7S_OK);
    assert_int_equal(admin_kill_switch_tell_end(stored->store, 4999), L7S_OK);
    assert_int_equal(admin_kill_switch_tell_end(stored->store, 5000), L7S_OK);
    assert_int_equal(admin_kill_switch_tell_end(stored->store, 6000), L7S_OK);
    l7s_mode_item_t settings = item(L7S_MODE_OBSERVE, 1, 12);
    assert_true(admin_kill_switch_set(&own, true, false, &settings));
    assert_int_equal(admin_kill_switch_save(stored->store, &own), L7S_OK);
    assert_int_equal(
        admin_event_each(stored->store, ADMIN_EVENT_ALL, 10, &after, &more, see, told),
        L7S_OK);
    assert_string_equal(told, "off emergency; enforce expired; observe settings; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_switch_set_only_for_another_mode),
        cmocka_unit_test(test_kill_switch_emergency_stays_until_somebody_speaks),
        cmocka_unit_test(test_kill_switch_adopt_is_ordered),
        cmocka_unit_test(test_kill_switch_new_epoch_carries_an_emergency_on),
        stored_test(test_kill_switch_save_tells_of_another_mode),
    };
    return cmocka_run_group_tests_name("kill_switch", tests, NULL, NULL);
}
