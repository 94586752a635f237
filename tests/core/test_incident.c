/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports and records: the merge counts the same whatever the order and however often a
 * report arrives, the record has the form of the contract, and nothing that a client sent
 * breaks it.
 */
#include "../../core/json/incident.h"
#include "../../core/rule.h"
#include "../../core/schema/schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID_A "inc_01ARZ3NDEKTSV4RRFFQ69G5FAA"
#define ID_B "inc_01ARZ3NDEKTSV4RRFFQ69G5FBB"
#define ID_C "inc_01ARZ3NDEKTSV4RRFFQ69G5FCC"

enum { START = 1767225600 }; /* 2026-01-01T00:00:00Z */

static uint64_t at(uint64_t seconds)
{
    return (START + seconds) * 1000;
}

static void set(char *out, size_t capacity, const char *text)
{
    snprintf(out, capacity, "%s", text);
}

static void begin(l7s_episode_t *episode, const char *id)
{
    l7s_episode_facts_t *facts = &episode->facts;

    memset(episode, 0, sizeof *episode);
    set(facts->id, sizeof facts->id, id);
    set(facts->policy, sizeof facts->policy, "login");
    set(facts->action, sizeof facts->action, "ban");
    set(facts->detector, sizeof facts->detector, "rate");
    set(facts->key, sizeof facts->key, "{\"client\":\"203.0.113.7\"}");
    set(facts->ban_id, sizeof facts->ban_id, "ip:203.0.113.7");
    set(facts->host, sizeof facts->host, "www.example.com");
    set(facts->path, sizeof facts->path, "/login");
    set(facts->method, sizeof facts->method, "POST");
    set(facts->user_agent, sizeof facts->user_agent, "curl/8");
    assert_true(l7s_addr_parse("203.0.113.7", &facts->client));
    set(facts->country, sizeof facts->country, "XX");
    facts->asn = 64500;
    facts->revision = 41;
    facts->started_ms = at(0);
    facts->mode = L7S_MODE_ENFORCE;
    facts->limit = 20;
    facts->per_seconds = 60;
}

static void count(l7s_episode_t *episode, uint64_t acted, uint64_t passed, uint32_t peak,
                  uint64_t seconds)
{
    atomic_store(&episode->requests, acted + passed);
    atomic_store(&episode->acted, acted);
    atomic_store(&episode->passed, passed);
    atomic_store(&episode->peak_per_second, peak);
    atomic_store(&episode->last_ms, at(seconds));
    atomic_store(&episode->ban_until_ms, at(seconds + 600));
}

static json_t *report(const char *node, const char *id, uint64_t acted, uint64_t seconds,
                      bool ended)
{
    l7s_episode_t episode;

    begin(&episode, id);
    count(&episode, acted, 20, 50, seconds);
    return l7s_incident_report(node, &episode, ended);
}

/* Merges and frees both. */
static json_t *merge(json_t *record, json_t *from)
{
    json_t *out = NULL;

    assert_int_equal(l7s_incident_report_check(from), L7S_OK);
    out = l7s_incident_merge(record, from);
    assert_non_null(out);
    json_decref(record);
    json_decref(from);
    return out;
}

/* The value at "a/b/0" within `json`. */
static const json_t *get(const json_t *json, const char *path)
{
    char copy[128];

    set(copy, sizeof copy, path);
    for (char *part = strtok(copy, "/"); part != NULL; part = strtok(NULL, "/")) {
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
    }
    return json;
}

static void assert_integer(const json_t *json, const char *path, json_int_t wanted)
{
    assert_true(json_is_integer(get(json, path)));
    assert_int_equal(json_integer_value(get(json, path)), wanted);
}

static void assert_text(const json_t *json, const char *path, const char *wanted)
{
    assert_true(json_is_string(get(json, path)));
    assert_string_equal(json_string_value(get(json, path)), wanted);
}

static void assert_contract(const json_t *record)
{
    json_t *public = l7s_incident_public(record);
    l7s_problems_t problems = {.count = 0};

    assert_null(json_object_get(public, "_reports"));
    if (l7s_schema_validate(l7s_openapi_schema("Incident"), public, &problems) !=
        L7S_OK) {
        fail_msg("%s: %s", problems.items[0].pointer, problems.items[0].message);
    }
    json_decref(public);
}

static void test_incident_merge_one_report_is_the_documented_record(void **state)
{
    json_t *record = merge(NULL, report("web-1", ID_A, 1214, 30, false));

    (void)state;
    assert_contract(record);
    assert_text(record, "id", ID_A);
    assert_text(record, "state", "active");
    assert_text(record, "kind", "rate");
    assert_text(record, "layer/signature", "request_flood");
    assert_integer(record, "layer/osi", 7);
    assert_text(record, "layer/name", "application");
    assert_text(record, "layer/evidence/0/metric", "requests_per_second");
    assert_integer(record, "layer/evidence/0/observed", 50);
    assert_integer(record, "layer/evidence/0/normal", 1);
    assert_text(record, "started_at", "2026-01-01T00:00:00.000Z");
    assert_text(record, "last_seen_at", "2026-01-01T00:00:30.000Z");
    assert_true(json_is_null(get(record, "ended_at")));
    assert_text(record, "policy/name", "login");
    assert_integer(record, "policy/revision", 41);
    assert_text(record, "policy/mode", "enforce");
    assert_text(record, "source/key/client", "203.0.113.7");
    assert_text(record, "source/network", "203.0.113.0/24");
    assert_text(record, "source/country", "XX");
    assert_integer(record, "source/asn", 64500);
    assert_integer(record, "source/distinct_clients", 1);
    assert_text(record, "target/host", "www.example.com");
    assert_integer(record, "measure/observed", 1254);
    assert_integer(record, "measure/limit", 20);
    assert_text(record, "action/type", "ban");
    assert_text(record, "action/ban_id", "ip:203.0.113.7");
    assert_text(record, "action/until", "2026-01-01T00:10:30.000Z");
    assert_integer(record, "action/first_acted_ms", 0);
    assert_integer(record, "counts/requests", 1234);
    assert_integer(record, "counts/acted", 1214);
    assert_integer(record, "counts/passed", 20);
    assert_text(record, "samples/0/user_agent", "curl/8");
    json_decref(record);
}

static void test_incident_merge_of_notices_is_one_record_without_a_layer(void **state)
{
    l7s_notice_t notice = {.node = "web-1",
                           .id = ID_A,
                           .kind = "store_degraded",
                           .policy = "",
                           .mode = L7S_MODE_ENFORCE,
                           .action = "count_alone",
                           .key_name = "server",
                           .key_value = "192.0.2.1:11211",
                           .started_ms = at(0),
                           .last_ms = at(5)};
    json_t *record = merge(NULL, l7s_incident_notice(&notice));

    (void)state;
    assert_contract(record);
    notice.node = "web-2";
    notice.id = ID_B;
    notice.last_ms = at(8);
    notice.ended = true;
    json_t *other = l7s_incident_notice(&notice);
    assert_true(l7s_incident_same(record, other));
    record = merge(record, other);
    assert_text(record, "state", "active"); /* web-1 has not said that it ended */
    notice.node = "web-1";
    notice.id = ID_A;
    record = merge(record, l7s_incident_notice(&notice));
    assert_contract(record);
    assert_text(record, "state", "ended");
    assert_text(record, "kind", "store_degraded");
    assert_text(record, "severity", "medium");
    assert_true(json_is_null(get(record, "layer")));
    assert_true(json_is_null(get(record, "policy")));
    assert_text(record, "source/key/server", "192.0.2.1:11211");
    assert_integer(record, "source/distinct_clients", 0);
    assert_integer(record, "measure/observed", 8);
    assert_int_equal(json_array_size(get(record, "nodes")), 2);
    assert_int_equal(json_array_size(get(record, "samples")), 0);
    json_decref(record);
}

static void test_incident_merge_observed_episode_acted_on_nobody(void **state)
{
    json_t *from = report("web-1", ID_A, 0, 30, false), *record = NULL;

    (void)state;
    json_object_set_new(from, "mode", json_string("observe"));
    record = merge(NULL, from);
    assert_contract(record);
    assert_text(record, "policy/mode", "observe");
    assert_integer(record, "counts/acted", 0);
    assert_true(json_is_null(get(record, "action/first_acted_ms")));
    json_decref(record);
}

static void test_incident_merge_two_nodes_are_one_record_with_an_alias(void **state)
{
    json_t *record = merge(NULL, report("web-3", ID_B, 100, 10, false));
    json_t *other = report("web-1", ID_A, 50, 20, false);

    (void)state;
    assert_true(l7s_incident_same(record, other));
    record = merge(record, other);
    assert_contract(record);
    assert_text(record, "id", ID_B);
    assert_text(record, "aliases/0", ID_A);
    assert_int_equal(json_array_size(get(record, "aliases")), 1);
    assert_text(record, "nodes/0", "web-1");
    assert_text(record, "nodes/1", "web-3");
    assert_integer(record, "counts/acted", 150);
    assert_integer(record, "counts/peak_per_second", 100);
    assert_text(record, "last_seen_at", "2026-01-01T00:00:20.000Z");
    json_decref(record);
}

/* Six cumulative reports of three episodes, each twice, in every rotation and backwards.
 */
static void test_incident_merge_any_order_and_repetition_counts_the_same(void **state)
{
    static const struct {
        const char *node, *id;
        uint64_t acted, seconds;
        bool ended;
    } reports[] = {
        {"web-1", ID_A, 10, 1, false}, {"web-2", ID_B, 5, 2, false},
        {"web-1", ID_A, 30, 5, false}, {"web-1", ID_A, 30, 5, true},
        {"web-2", ID_B, 7, 9, true},   {"web-2", ID_C, 100, 90, true},
    };
    enum { COUNT = sizeof reports / sizeof reports[0] };

    (void)state;
    for (size_t turn = 0; turn < 2 * COUNT; turn++) {
        json_t *record = NULL;

        for (size_t i = 0; i < 2 * COUNT; i++) {
            size_t at =
                turn < COUNT ? (turn + i) % COUNT : (turn + 2 * COUNT - i) % COUNT;

            record =
                merge(record, report(reports[at].node, reports[at].id, reports[at].acted,
                                     reports[at].seconds, reports[at].ended));
        }
        assert_contract(record);
        assert_integer(record, "counts/acted", 137);
        assert_integer(record, "counts/requests", 197);
        assert_text(record, "state", "ended");
        assert_text(record, "ended_at", "2026-01-01T00:01:30.000Z");
        assert_int_equal(json_array_size(get(record, "nodes")), 2);
        assert_int_equal(json_array_size(get(record, "aliases")), 2);
        json_decref(record);
    }
}

static void test_incident_merge_one_node_active_keeps_the_record_active(void **state)
{
    json_t *record = merge(NULL, report("web-1", ID_A, 10, 1, true));

    (void)state;
    assert_text(record, "state", "ended");
    record = merge(record, report("web-2", ID_B, 10, 2, false));
    assert_text(record, "state", "active");
    assert_true(json_is_null(get(record, "ended_at")));
    json_decref(record);
}

static void test_incident_merge_keeps_what_people_wrote(void **state)
{
    json_t *record = merge(NULL, report("web-1", ID_A, 10, 1, false));

    (void)state;
    json_object_set_new(record, "note", json_string("known"));
    json_object_set_new(record, "labels", json_pack("{s:s}", "team", "web"));
    json_object_set_new(record, "ack", json_pack("{s:s}", "by", "me"));
    record = merge(record, report("web-1", ID_A, 20, 2, false));
    assert_text(record, "note", "known");
    assert_text(record, "labels/team", "web");
    assert_text(record, "ack/by", "me");
    assert_integer(record, "counts/acted", 20);
    json_decref(record);
}

static json_t *with(json_t *from, const char *member, json_t *value)
{
    json_object_set_new(from, member, value);
    return from;
}

static void test_incident_same_needs_policy_key_and_time(void **state)
{
    json_t *active = merge(NULL, report("web-1", ID_A, 10, 30, false));
    json_t *ended = merge(NULL, report("web-1", ID_A, 10, 30, true));
    json_t *soon = report("web-1", ID_B, 1, 95, false);
    json_t *policy =
        with(report("web-2", ID_B, 1, 31, false), "policy", json_string("other"));
    json_t *key = with(report("web-2", ID_B, 1, 31, false), "key",
                       json_pack("{s:s}", "client", "203.0.113.8"));
    json_t *campaign = with(report("web-2", ID_B, 1, 31, false), "campaign", json_true());

    (void)state;
    json_object_set_new(soon, "started_ms", json_integer((json_int_t)at(89)));
    assert_true(l7s_incident_same(active, soon));
    assert_true(l7s_incident_same(ended, soon));
    json_object_set_new(soon, "started_ms", json_integer((json_int_t)at(90)));
    assert_true(l7s_incident_same(active, soon));
    assert_false(l7s_incident_same(ended, soon));
    assert_false(l7s_incident_same(active, policy));
    assert_false(l7s_incident_same(active, key));
    assert_false(l7s_incident_same(active, campaign));
    json_decref(active);
    json_decref(ended);
    json_decref(soon);
    json_decref(policy);
    json_decref(key);
    json_decref(campaign);
}

/* A late report of a known episode belongs to its record, however long that has ended. */
static void test_incident_same_known_episode_always_belongs(void **state)
{
    json_t *record = merge(NULL, report("web-1", ID_A, 10, 30, true));
    json_t *late = report("web-1", ID_A, 12, 500, true);

    (void)state;
    json_object_set_new(late, "started_ms", json_integer((json_int_t)at(400)));
    assert_true(l7s_incident_same(record, late));
    json_decref(record);
    json_decref(late);
}

static void test_incident_merge_campaign_estimates_its_clients(void **state)
{
    l7s_episode_t episode;
    json_t *record = NULL;

    (void)state;
    begin(&episode, ID_A);
    episode.facts.campaign = 1;
    count(&episode, 1000, 0, 200, 5);
    for (size_t i = 0; i < 4; i++) {
        atomic_store(&episode.clients[i], i == 0 ? UINT64_MAX : 0); /* 64 of 256 bits */
    }
    record = merge(NULL, l7s_incident_report("web-1", &episode, false));
    atomic_store(&episode.clients[1], UINT64_MAX);
    set(episode.facts.id, sizeof episode.facts.id, ID_B);
    record = merge(record, l7s_incident_report("web-2", &episode, false));
    assert_contract(record);
    assert_text(record, "layer/signature", "distributed_flood");
    assert_integer(record, "source/distinct_clients", 177); /* -256 ln(1/2) */
    assert_int_equal(json_object_size(get(record, "source/key")), 0);
    assert_true(json_is_null(get(record, "source/asn")));
    assert_true(json_is_null(get(record, "source/country")));
    assert_true(json_is_null(get(record, "action/ban_id")));
    json_decref(record);
}

static void test_incident_report_hostile_bytes_stay_valid_and_bounded(void **state)
{
    l7s_episode_t episode;
    json_t *from = NULL, *back = NULL, *record = NULL;
    char *text = NULL;

    (void)state;
    begin(&episode, ID_A);
    memset(episode.facts.path, 0xff, sizeof episode.facts.path - 1);
    memset(episode.facts.user_agent, 0xc3, sizeof episode.facts.user_agent - 1);
    set(episode.facts.host, sizeof episode.facts.host, "a\xed\xa0\x80\x01\"\\\xf4\x90");
    set(episode.facts.key, sizeof episode.facts.key, "{\"client\":\"cut");
    count(&episode, 1, 1, 1, 1);
    from = l7s_incident_report("web-1", &episode, false);
    assert_int_equal(l7s_incident_report_check(from), L7S_OK);
    text = json_dumps(from, JSON_COMPACT);
    assert_non_null(text);
    back = json_loads(text, 0, NULL);
    assert_true(json_equal(from, back));
    assert_text(from, "host", "a\\xed\\xa0\\x80\x01\"\\\\xf4\\x90");
    assert_in_range(strlen(json_string_value(get(from, "path"))), 250, 256);
    record = merge(NULL, from);
    assert_contract(record);
    free(text);
    json_decref(back);
    json_decref(record);
}

static void test_incident_report_shows_what_is_done_now(void **state)
{
    l7s_episode_t episode;
    json_t *from = NULL;

    (void)state;
    begin(&episode, ID_A);
    set(episode.facts.action, sizeof episode.facts.action, "throttle");
    from = l7s_incident_report("web-1", &episode, false);
    assert_text(from, "action", "throttle");
    assert_text(from, "ban_id", ""); /* of a step that has not been reached */
    json_decref(from);
    atomic_store(&episode.escalated, L7S_ACTION_BAN << 8 | 2);
    from = l7s_incident_report("web-1", &episode, false);
    assert_text(from, "action", "ban");
    assert_text(from, "ban_id", "ip:203.0.113.7");
    json_decref(from);
}

static void test_incident_report_check_anything_odd_is_refused(void **state)
{
    static const struct {
        const char *member, *value;
    } cases[] = {
        {"node", "\"\""},
        {"node", "7"},
        {"id", "\"inc_1\""},
        {"id", "\"inc_01ARZ3NDEKTSV4RRFFQ69G5Fil\""},
        {"state", "\"over\""},
        {"policy", "\"\""},
        {"policy", "null"},
        {"mode", "\"maybe\""},
        {"key", "\"client\""},
        {"key", "{\"client\":{}}"},
        {"key", "{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\"}"},
        {"requests", "-1"},
        {"requests", "\"1\""},
        {"acted", "1.5"},
        {"acted", "9007199254740993"},
        {"started_ms", "0"},
        {"last_ms", "253402300800000"}, /* year 10000 */
        {"campaign", "1"},
        {"method", "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *from = report("web-1", ID_A, 1, 1, false);

        json_object_set_new(from, cases[i].member,
                            json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        if (l7s_incident_report_check(from) != L7S_INVALID) {
            fail_msg("%s: %s was accepted", cases[i].member, cases[i].value);
        }
        json_decref(from);
    }
    assert_int_equal(l7s_incident_report_check(NULL), L7S_INVALID);
}

static void test_incident_report_check_minted_id_passes(void **state)
{
    l7s_hashkey_t key = {1, 2};
    json_t *from = report("web-1", ID_A, 1, 1, false);
    char id[L7S_INCIDENT_ID_MAX];

    (void)state;
    l7s_incident_mint(&key, (l7s_now_t){.wall_ms = at(0)}, id);
    json_object_set_new(from, "id", json_string(id));
    assert_int_equal(l7s_incident_report_check(from), L7S_OK);
    json_decref(from);
}

static void test_incident_merge_foreign_members_are_not_kept(void **state)
{
    json_t *record = merge(
        NULL, with(report("web-1", ID_A, 1, 1, false), "payload", json_string("x")));
    const json_t *kept = json_object_get(json_object_get(record, "_reports"), ID_A);

    (void)state;
    assert_non_null(kept);
    assert_null(json_object_get(kept, "payload"));
    json_decref(record);
}

static void test_incident_same_full_record_takes_no_more_episodes(void **state)
{
    json_t *record = NULL, *next = NULL;

    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        char id[L7S_INCIDENT_ID_MAX];

        snprintf(id, sizeof id, "inc_%026u", i);
        record = merge(record, report("web-1", id, 1, 1, false));
    }
    assert_contract(record);
    next = report("web-1", ID_A, 1, 1, false);
    assert_false(l7s_incident_same(record, next));
    json_decref(next);
    json_decref(record);
}

/* An older node's report says nothing about where the client comes from. */
static void test_incident_report_without_origin_is_taken(void **state)
{
    json_t *from = report("web-1", ID_A, 10, 5, false), *record = NULL;

    (void)state;
    json_object_del(from, "country");
    json_object_del(from, "asn");
    assert_int_equal(l7s_incident_report_check(from), L7S_OK);
    json_object_set_new(from, "country", json_string("XXX"));
    assert_int_equal(l7s_incident_report_check(from), L7S_INVALID);
    json_object_del(from, "country");
    record = merge(NULL, from);
    assert_true(json_is_null(get(record, "source/asn")));
    assert_true(json_is_null(get(record, "source/country")));
    json_decref(record);
}

/* A client's bytes, bounded and made valid; a node that records none sends no member. */
static void test_incident_sample_shows_the_query_that_was_recorded(void **state)
{
    l7s_episode_t episode;
    json_t *from = report("web-1", ID_A, 10, 5, false), *record = NULL;

    (void)state;
    assert_null(json_object_get(from, "query"));
    record = merge(NULL, from);
    assert_null(json_object_get(json_array_get(get(record, "samples"), 0), "query"));
    begin(&episode, ID_B);
    count(&episode, 1, 1, 1, 5);
    set(episode.facts.query, sizeof episode.facts.query, "q=\"\xff\n&b=1");
    from = l7s_incident_report("web-2", &episode, false);
    assert_int_equal(l7s_incident_report_check(from), L7S_OK);
    record = merge(record, from);
    assert_contract(record);
    const json_t *sample = json_array_get(get(record, "samples"), 1);
    const char *query = json_string_value(json_object_get(sample, "query"));
    assert_non_null(query);
    assert_non_null(strstr(query, "&b=1"));
    assert_null(strchr(query, '\xff'));
    json_object_set_new(from = json_deep_copy(from), "query", json_integer(1));
    assert_int_equal(l7s_incident_report_check(from), L7S_INVALID);
    json_decref(from);
    json_decref(record);
}

/* A report of a policy that matches signals. */
static json_t *signalled(const char *node, const char *id, const char *raised)
{
    l7s_episode_t episode;
    l7s_signals_t signals = {0};

    begin(&episode, id);
    count(&episode, 1, 1, 1, 5);
    set(episode.facts.detector, sizeof episode.facts.detector, "signal");
    l7s_signals_read(&signals, raised);
    l7s_episode_signals(&episode, &signals);
    return l7s_incident_report(node, &episode, false);
}

static void test_incident_merge_signals_name_the_attack_and_its_rules(void **state)
{
    static const struct {
        const char *raised, *signature;
        int confidence;
    } cases[] = {
        {"web-shell;detail=953100", "remote_control", 90},
        {"remote-command,other", "remote_control", 90},
        {"failed-login", "credential_guessing", 90},
        {"scanner", "scanning", 90},
        {"my-own", "unknown", 50},
    };
    json_t *record = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        record = merge(NULL, signalled("web-1", ID_A, cases[i].raised));
        assert_text(record, "kind", "signal");
        assert_integer(record, "layer/osi", 7);
        assert_text(record, "layer/signature", cases[i].signature);
        assert_integer(record, "layer/confidence_percent", cases[i].confidence);
        assert_text(record, "layer/evidence/0/metric", "signals");
        json_decref(record);
    }
    record = merge(NULL, signalled("web-1", ID_A, "remote-command;detail=932100"));
    record = merge(record, signalled("web-2", ID_B,
                                     "remote-command;detail=932160,"
                                     "remote-command;detail=932100"));
    assert_text(record, "severity", "high");
    assert_text(record, "top/signals/0/name", "remote-command");
    assert_text(record, "top/signals/0/detail", "932100");
    assert_integer(record, "top/signals/0/count", 2);
    assert_text(record, "top/signals/1/detail", "932160");
    assert_integer(record, "top/signals/1/count", 1);
    assert_int_equal(json_array_size(get(record, "top/signals")), 2);
    json_decref(record);
}

static void test_incident_merge_damaged_signals_are_left_out(void **state)
{
    json_t *from = signalled("web-1", ID_A, "a"), *record = NULL;

    (void)state;
    json_object_set_new(from, "signals",
                        json_string("*,*5,a*,b;*1,,c;d*99999999999999999999"));
    record = merge(NULL, from);
    assert_true(json_array_size(get(record, "top/signals")) <= 3);
    json_decref(record);
    from = signalled("web-1", ID_A, "a");
    json_object_set_new(from, "signals", json_integer(1));
    assert_int_equal(l7s_incident_report_check(from), L7S_INVALID);
    json_decref(from);
}

static void test_incident_merge_cost_is_measured_in_its_unit(void **state)
{
    l7s_episode_t episode;
    json_t *record = NULL;

    (void)state;
    begin(&episode, ID_A);
    count(&episode, 10, 1, 5, 30);
    set(episode.facts.unit, sizeof episode.facts.unit, "bytes");
    atomic_store(&episode.units, 500);
    record = merge(NULL, l7s_incident_report("web-1", &episode, false));
    assert_text(record, "measure/unit", "bytes");
    assert_integer(record, "measure/observed", 520);
    json_decref(record);
    atomic_store(&episode.last_ms, at(120)); /* two periods */
    record = merge(NULL, l7s_incident_report("web-1", &episode, false));
    assert_integer(record, "measure/observed", 270);
    json_decref(record);
}

static void test_incident_merge_share_shows_what_was_observed(void **state)
{
    l7s_episode_t episode;
    json_t *record;

    (void)state;
    begin(&episode, ID_A);
    set(episode.facts.detector, sizeof episode.facts.detector, "ratio");
    set(episode.facts.unit, sizeof episode.facts.unit, "percent");
    episode.facts.limit = 80;
    episode.facts.observed = 93;
    count(&episode, 500, 1, 200, 10);
    record = merge(NULL, l7s_incident_report("web-1", &episode, false));
    assert_text(record, "kind", "ratio");
    assert_text(record, "measure/unit", "percent");
    assert_integer(record, "measure/observed", 93);
    assert_integer(record, "measure/limit", 80);
    assert_integer(record, "measure/per_seconds", 60);
    assert_text(record, "layer/evidence/0/metric", "failing_responses_percent");
    assert_integer(record, "layer/evidence/0/observed", 93);
    assert_text(record, "layer/signature", "unknown");
    json_decref(record);
    episode.facts.observed = 0; /* a node that heard of the ban only */
    record = merge(NULL, l7s_incident_report("web-1", &episode, false));
    assert_integer(record, "measure/observed", 80);
    json_decref(record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_incident_report_without_origin_is_taken),
        cmocka_unit_test(test_incident_sample_shows_the_query_that_was_recorded),
        cmocka_unit_test(test_incident_merge_one_report_is_the_documented_record),
        cmocka_unit_test(test_incident_merge_of_notices_is_one_record_without_a_layer),
        cmocka_unit_test(test_incident_merge_observed_episode_acted_on_nobody),
        cmocka_unit_test(test_incident_merge_two_nodes_are_one_record_with_an_alias),
        cmocka_unit_test(test_incident_merge_any_order_and_repetition_counts_the_same),
        cmocka_unit_test(test_incident_merge_one_node_active_keeps_the_record_active),
        cmocka_unit_test(test_incident_merge_keeps_what_people_wrote),
        cmocka_unit_test(test_incident_same_needs_policy_key_and_time),
        cmocka_unit_test(test_incident_same_known_episode_always_belongs),
        cmocka_unit_test(test_incident_merge_campaign_estimates_its_clients),
        cmocka_unit_test(test_incident_report_hostile_bytes_stay_valid_and_bounded),
        cmocka_unit_test(test_incident_report_shows_what_is_done_now),
        cmocka_unit_test(test_incident_report_check_anything_odd_is_refused),
        cmocka_unit_test(test_incident_report_check_minted_id_passes),
        cmocka_unit_test(test_incident_merge_foreign_members_are_not_kept),
        cmocka_unit_test(test_incident_same_full_record_takes_no_more_episodes),
        cmocka_unit_test(test_incident_merge_signals_name_the_attack_and_its_rules),
        cmocka_unit_test(test_incident_merge_damaged_signals_are_left_out),
        cmocka_unit_test(test_incident_merge_cost_is_measured_in_its_unit),
        cmocka_unit_test(test_incident_merge_share_shows_what_was_observed),
    };

    return cmocka_run_group_tests_name("incident", tests, NULL, NULL);
}
