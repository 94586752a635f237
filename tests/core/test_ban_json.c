/* SPDX-License-Identifier: Apache-2.0
 *
 * Bans there and back, and what is refused on the way back.
 */
#include "../../core/json/ban_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static l7s_ban_t address_ban(const char *network)
{
    l7s_ban_t ban = {.digest = {.lo = 0xfedcba9876543210, .hi = 1},
                     .is_address = true,
                     .since_ms = 1000,
                     .until_ms = 61000,
                     .status = 429,
                     .origin = L7S_ORIGIN_NODE,
                     .policy = "login",
                     .incident = "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                     .response = "busy"};

    assert_int_equal(l7s_cidr_parse(network, &ban.network), L7S_OK);
    l7s_ban_id(&ban.network, ban.id);
    return ban;
}

static void assert_bans_equal(const l7s_ban_t *a, const l7s_ban_t *b)
{
    assert_int_equal(a->digest.lo, b->digest.lo);
    assert_int_equal(a->digest.hi, b->digest.hi);
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->is_address, b->is_address);
    assert_memory_equal(&a->network, &b->network, sizeof a->network);
    assert_int_equal(a->since_ms, b->since_ms);
    assert_int_equal(a->until_ms, b->until_ms);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->origin, b->origin);
    assert_string_equal(a->policy, b->policy);
    assert_string_equal(a->incident, b->incident);
    assert_string_equal(a->response, b->response);
}

static void test_ban_to_json_has_the_documented_form(void **state)
{
    l7s_ban_t ban = address_ban("203.0.113.7");
    json_t *json = l7s_ban_to_json(&ban);
    char *text = json_dumps(json, JSON_COMPACT);

    (void)state;
    assert_string_equal(
        text, "{\"op\":\"put\",\"id\":\"ip:203.0.113.7\",\"digest\":"
              "\"0000000000000001fedcba9876543210\",\"network\":\"203.0.113.7\","
              "\"since_ms\":1000,\"until_ms\":61000,\"status\":429,\"policy\":\"login\","
              "\"incident\":\"inc_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"response\":\"busy\","
              "\"origin\":\"node\"}");
    free(text);
    json_decref(json);
}

static void test_ban_from_json_there_and_back_is_the_same(void **state)
{
    static const char *const networks[] = {"203.0.113.7", "203.0.113.0/24",
                                           "2001:db8::/64", "::/0", "2001:db8::1"};

    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        l7s_ban_t ban = address_ban(networks[i]), back;
        uint64_t hold = 7;
        bool lift = true;
        json_t *json = l7s_ban_to_json(&ban);

        assert_int_equal(l7s_ban_from_json(json, &back, &lift, &hold), L7S_OK);
        assert_false(lift);
        assert_int_equal(hold, 0);
        assert_bans_equal(&ban, &back);
        json_decref(json);
    }
}

static void test_ban_from_json_endless_tuple_ban_by_hand_is_the_same(void **state)
{
    l7s_ban_t ban = {.id = "header:h-abc_DEF-1",
                     .until_ms = UINT64_MAX,
                     .status = 403,
                     .origin = L7S_ORIGIN_DAEMON};
    l7s_ban_t back;
    uint64_t hold = 0;
    bool lift = true;
    json_t *json = l7s_ban_to_json(&ban);

    (void)state;
    assert_true(json_is_null(json_object_get(json, "until_ms")));
    assert_int_equal(l7s_ban_from_json(json, &back, &lift, &hold), L7S_OK);
    assert_bans_equal(&ban, &back);
    json_decref(json);
}

static void test_ban_lift_keeps_its_hold(void **state)
{
    l7s_ban_t ban = address_ban("203.0.113.7"), back;
    uint64_t hold = 0;
    bool lift = false;
    json_t *json = l7s_ban_lift_to_json(&ban, 99000);

    (void)state;
    assert_int_equal(l7s_ban_from_json(json, &back, &lift, &hold), L7S_OK);
    assert_true(lift);
    assert_int_equal(hold, 99000);
    json_decref(json);
}

static void test_ban_from_json_anything_odd_is_refused(void **state)
{
    static const struct {
        const char *member, *value;
    } cases[] = {
        {"op", "\"forgive\""},
        {"op", "null"},
        {"id", "\"ip:203.0.113.8\""}, /* not this network's */
        {"id", "\"\""},
        {"id", "\"a b\""},
        {"id", "7"},
        {"id",
         "\"header:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
        {"digest", "\"1234\""},
        {"digest", "\"0000000000000001FEDCBA9876543210\""},
        {"digest", "\" 000000000000001fedcba9876543210\""},
        {"network", "null"}, /* the id says that it is an address */
        {"network", "\"203.0.113.7/24\""},
        {"network", "\"everybody\""},
        {"network", "3"},
        {"since_ms", "-1"},
        {"until_ms", "\"tomorrow\""},
        {"until_ms", "1.5"},
        {"status", "200"},
        {"status", "70000"},
        {"status", "\"403\""},
        {"policy", "\"a\\nb\""},
        {"policy",
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
        {"policy", "null"},
        {"incident", "\"inc_01ARZ3NDEKTSV4RRFFQ69G5FAVXX\""},
        {"response", "[]"},
        {"origin", "\"stranger\""},
        {"hold_until_ms", "-5"},
    };
    l7s_ban_t ban = address_ban("203.0.113.7"), back;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = l7s_ban_to_json(&ban);
        uint64_t hold = 0;
        bool lift = false;

        json_object_set_new(json, cases[i].member,
                            json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        if (l7s_ban_from_json(json, &back, &lift, &hold) != L7S_INVALID) {
            fail_msg("%s: %s was accepted", cases[i].member, cases[i].value);
        }
        json_decref(json);
    }
}

static void test_ban_from_json_no_object_is_refused(void **state)
{
    json_t *json = json_array();
    l7s_ban_t back;
    uint64_t hold = 0;
    bool lift = false;

    (void)state;
    assert_int_equal(l7s_ban_from_json(json, &back, &lift, &hold), L7S_INVALID);
    assert_int_equal(l7s_ban_from_json(NULL, &back, &lift, &hold), L7S_INVALID);
    json_decref(json);
}

static void test_ban_fits_node_widest_of_policies(void **state)
{
    static const struct {
        const char *network;
        bool fits;
    } cases[] = {{"0.0.0.0/0", false}, {"10.0.0.0/7", false}, {"10.0.0.0/8", true},
                 {"192.0.2.1", true},  {"::/0", false},       {"2000::/15", false},
                 {"2001::/16", true}};
    l7s_ban_t ban = {.is_address = false};

    (void)state;
    assert_true(l7s_ban_fits_node(&ban));
    ban.is_address = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_cidr_parse(cases[i].network, &ban.network), L7S_OK);
        assert_int_equal(l7s_ban_fits_node(&ban), cases[i].fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ban_to_json_has_the_documented_form),
        cmocka_unit_test(test_ban_from_json_there_and_back_is_the_same),
        cmocka_unit_test(test_ban_from_json_endless_tuple_ban_by_hand_is_the_same),
        cmocka_unit_test(test_ban_lift_keeps_its_hold),
        cmocka_unit_test(test_ban_from_json_anything_odd_is_refused),
        cmocka_unit_test(test_ban_from_json_no_object_is_refused),
        cmocka_unit_test(test_ban_fits_node_widest_of_policies),
    };

    return cmocka_run_group_tests_name("ban_json", tests, NULL, NULL);
}
