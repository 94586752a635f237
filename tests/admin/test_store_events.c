/* SPDX-License-Identifier: Apache-2.0
 *
 * Incidents, bans and nodes: what the filters find, in which order, and what retention
 * takes away.
 */
#include "../../admin_api/store/store_events.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static void begin(stored_t *stored)
{
    assert_int_equal(admin_store_begin(stored->store, ADMIN_EVENTS_DB), L7S_OK);
}

static void commit(stored_t *stored)
{
    assert_int_equal(admin_store_commit(stored->store, ADMIN_EVENTS_DB), L7S_OK);
}

static void put_incident(stored_t *stored, const char *id, const char *policy,
                         const char *client, uint64_t started_ms, uint64_t ended_ms)
{
    l7s_addr_t address;
    assert_true(l7s_addr_parse(client, &address));
    json_t *doc = json_pack("{s:s, s:[s]}", "id", id, "aliases", "alias-of-it");
    admin_incident_t incident = {.id = id,
                                 .subject = policy,
                                 .state = ended_ms == 0 ? "active" : "ended",
                                 .policy = policy,
                                 .kind = "rate",
                                 .severity = "high",
                                 .client = &address,
                                 .started_ms = started_ms,
                                 .last_seen_ms = started_ms,
                                 .ended_ms = ended_ms,
                                 .doc = doc};
    assert_int_equal(admin_incident_put(stored->store, &incident), L7S_OK);
    json_decref(doc);
}

typedef struct {
    char text[256];
    uint64_t started_ms;
    int64_t seq;
} found_t;

static bool collect(void *context, uint64_t started_ms, int64_t seq, const json_t *doc)
{
    found_t *found = context;
    strcat(found->text, json_string_value(json_object_get(doc, "id")));
    found->started_ms = started_ms;
    found->seq = seq;
    return true;
}

static found_t incidents(stored_t *stored, admin_incident_filter_t filter)
{
    found_t found = {.text = ""};
    filter.limit = filter.limit == 0 ? 100 : filter.limit;
    assert_int_equal(admin_incident_each(stored->store, &filter, collect, &found),
                     L7S_OK);
    return found;
}

static void three_incidents(stored_t *stored)
{
    begin(stored);
    put_incident(stored, "a", "login", "192.0.2.1", 1000, 2000);
    put_incident(stored, "b", "login", "192.0.2.2", 3000, 0);
    put_incident(stored, "c", "scan", "2001:db8::1", 3000, 0);
    commit(stored);
}

static void test_incident_each_filters_and_orders(void **state)
{
    stored_t *stored = *state;
    three_incidents(stored);
    assert_string_equal(incidents(stored, (admin_incident_filter_t){0}).text, "cba");
    l7s_cidr_t network;
    assert_int_equal(l7s_cidr_parse("192.0.2.0/24", &network), L7S_OK);
    assert_string_equal(
        incidents(stored, (admin_incident_filter_t){.rows = {.has_client = true,
                                                             .client = network}})
            .text,
        "ba");
    admin_incident_filter_t filter = {
        .rows = {.term_count = 2,
                 .terms = {{.column = "policy", .count = 2, .values = {"login", "scan"}},
                           {.column = "state", .count = 1, .values = {"active"}}}}};
    assert_string_equal(incidents(stored, filter).text, "cb");
    assert_string_equal(
        incidents(stored, (admin_incident_filter_t){.rows = {.since_ms = 2000}}).text,
        "cb");
    assert_string_equal(
        incidents(stored, (admin_incident_filter_t){.rows = {.until_ms = 3000}}).text,
        "a");
}

static void test_incident_each_pages_by_key(void **state)
{
    stored_t *stored = *state;
    three_incidents(stored);
    found_t page = incidents(stored, (admin_incident_filter_t){.limit = 1});
    assert_string_equal(page.text, "c");
    page =
        incidents(stored, (admin_incident_filter_t){.limit = 1,
                                                    .before_started_ms = page.started_ms,
                                                    .before_seq = page.seq});
    assert_string_equal(page.text, "b");
}

static void test_incident_each_refuses_unknown_columns(void **state)
{
    stored_t *stored = *state;
    admin_incident_filter_t filter = {
        .limit = 1,
        .rows = {.term_count = 1,
                 .terms = {{.column = "1=1 OR policy", .count = 1, .values = {"x"}}}}};
    found_t found = {.text = ""};
    assert_int_equal(admin_incident_each(stored->store, &filter, collect, &found),
                     L7S_INVALID);
}

static bool no_ban(void *context, const admin_ban_t *ban)
{
    (void)context;
    (void)ban;
    return false;
}

static void test_ban_each_refuses_what_a_ban_does_not_have(void **state)
{
    stored_t *stored = *state;
    admin_ban_filter_t filter = {.rows = {.since_ms = 1}};
    assert_int_equal(admin_ban_each(stored->store, &filter, no_ban, NULL), L7S_INVALID);
    assert_null(admin_ban_count(stored->store, &filter, "origin"));
    filter = (admin_ban_filter_t){.now_ms = 1};
    assert_null(admin_ban_count(stored->store, &filter, "entry"));
}

static void test_incident_put_replaces_by_id_and_finds_by_alias(void **state)
{
    stored_t *stored = *state;
    begin(stored);
    put_incident(stored, "a", "login", "192.0.2.1", 1000, 0);
    put_incident(stored, "a", "login", "192.0.2.1", 1000, 9000);
    commit(stored);
    assert_string_equal(incidents(stored, (admin_incident_filter_t){0}).text, "a");
    json_t *by_alias = admin_incident_get(stored->store, "alias-of-it");
    assert_non_null(by_alias);
    json_decref(by_alias);
    json_t *of = admin_incident_of(stored->store, "login");
    assert_non_null(of);
    json_decref(of);
    assert_null(admin_incident_get(stored->store, "nothing"));
}

static void test_incident_prune_spares_active_ones(void **state)
{
    stored_t *stored = *state;
    size_t deleted = 0;
    three_incidents(stored);
    begin(stored);
    assert_int_equal(admin_incident_prune(stored->store, 5000, 1000, &deleted), L7S_OK);
    commit(stored);
    assert_int_equal(deleted, 1);
    assert_string_equal(incidents(stored, (admin_incident_filter_t){0}).text, "cb");
    begin(stored);
    assert_int_equal(admin_incident_prune(stored->store, 0, 0, &deleted), L7S_OK);
    commit(stored);
    assert_int_equal(deleted, 0);
}

static void put_ban(stored_t *stored, const char *id, const char *network, bool lifted,
                    uint64_t until_ms, uint64_t hold_until_ms)
{
    l7s_cidr_t cidr;
    assert_int_equal(l7s_cidr_parse(network, &cidr), L7S_OK);
    json_t *entry = json_pack("{s:s}", "id", id);
    admin_ban_t ban = {.id = id,
                       .origin = "daemon",
                       .network = &cidr,
                       .lifted = lifted,
                       .until_ms = until_ms,
                       .hold_until_ms = hold_until_ms,
                       .entry = entry};
    assert_int_equal(admin_ban_put(stored->store, &ban), L7S_OK);
    json_decref(entry);
}

static bool collect_ban(void *context, const admin_ban_t *ban)
{
    strcat(context, ban->id);
    return true;
}

static void test_ban_each_finds_what_covers_and_leaves_out_what_ran_out(void **state)
{
    stored_t *stored = *state;
    begin(stored);
    put_ban(stored, "a", "192.0.2.0/24", false, 0, 0);
    put_ban(stored, "b", "192.0.2.7", false, 5000, 0);
    put_ban(stored, "c", "198.51.100.0/24", true, 0, 9000);
    commit(stored);
    l7s_cidr_t client;
    assert_int_equal(l7s_cidr_parse("192.0.2.7", &client), L7S_OK);
    char text[16] = "";
    admin_ban_filter_t filter = {.rows = {.has_client = true, .client = client},
                                 .now_ms = 1000};
    assert_int_equal(admin_ban_each(stored->store, &filter, collect_ban, text), L7S_OK);
    assert_string_equal(text, "ab");
    text[0] = '\0';
    filter = (admin_ban_filter_t){.with_lifted = true, .now_ms = 6000};
    assert_int_equal(admin_ban_each(stored->store, &filter, collect_ban, text), L7S_OK);
    assert_string_equal(text, "ac");
    size_t deleted;
    begin(stored);
    assert_int_equal(admin_ban_prune(stored->store, 9000, &deleted), L7S_OK);
    commit(stored);
    assert_int_equal(deleted, 2);
}

static bool read_node(void *context, const admin_node_t *node)
{
    *(admin_node_t *)context = *node;
    return true;
}

static void test_node_put_keeps_first_seen_and_position(void **state)
{
    stored_t *stored = *state;
    admin_node_t node = {.name = "web-1", .first_seen_ms = 10, .last_seen_ms = 10}, found;
    begin(stored);
    assert_int_equal(admin_node_put(stored->store, &node), L7S_OK);
    assert_int_equal(admin_node_position(stored->store, "web-1", 42), L7S_OK);
    node.first_seen_ms = node.last_seen_ms = 99;
    assert_int_equal(admin_node_put(stored->store, &node), L7S_OK);
    commit(stored);
    assert_int_equal(admin_node_each(stored->store, read_node, &found), L7S_OK);
    assert_int_equal(found.first_seen_ms, 10);
    assert_int_equal(found.last_seen_ms, 99);
    assert_int_equal(found.position, 42);
    begin(stored);
    assert_int_equal(admin_node_delete(stored->store, "web-1"), L7S_OK);
    assert_int_equal(admin_node_delete(stored->store, "web-1"), L7S_NOT_FOUND);
    commit(stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_incident_each_filters_and_orders),
        stored_test(test_incident_each_pages_by_key),
        stored_test(test_incident_each_refuses_unknown_columns),
        stored_test(test_ban_each_refuses_what_a_ban_does_not_have),
        stored_test(test_incident_put_replaces_by_id_and_finds_by_alias),
        stored_test(test_incident_prune_spares_active_ones),
        stored_test(test_ban_each_finds_what_covers_and_leaves_out_what_ran_out),
        stored_test(test_node_put_keeps_first_seen_and_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
