/* SPDX-License-Identifier: Apache-2.0
 *
 * What one node says about one episode. One table names every member with its kind and
 * bound, so that writing, checking and copying a report cannot drift apart. What clients
 * sent (host, path, user agent) may hold any byte: it is made valid UTF-8 here, once.
 */
#include "../key.h"
#include "../rule.h"
#include "../schema/schema.h"
#include "../schema/utf8.h"
#include "incident.h"
#include "incident_parts.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The last ones came later: a node of an older version leaves them out. */
typedef enum { TEXT, COUNT, MOMENT, FLAG, KEY, LATER_TEXT, LATER_COUNT } kind_t;

static const struct {
    const char *name;
    kind_t kind;
    size_t max; /* of a text, in bytes */
} MEMBERS[] = {
    {"node", TEXT, 63},
    {"id", TEXT, 31},
    {"state", TEXT, 6},
    {"policy", TEXT, 63},
    {"mode", TEXT, 7},
    {"detector", TEXT, 15},
    {"action", TEXT, 15},
    {"key", KEY, 256},
    {"ban_id", TEXT, 63},
    {"app", TEXT, 63},
    {"host", TEXT, 256},
    {"path", TEXT, 256},
    {"method", TEXT, 48},
    {"user_agent", TEXT, 256},
    {"client", TEXT, 45},
    {"clients", TEXT, 64},
    {"campaign", FLAG, 0},
    {"revision", COUNT, 0},
    {"started_ms", MOMENT, 0},
    {"last_ms", MOMENT, 0},
    {"ban_until_ms", COUNT, 0},
    {"limit", COUNT, 0},
    {"per_seconds", COUNT, 0},
    {"requests", COUNT, 0},
    {"acted", COUNT, 0},
    {"passed", COUNT, 0},
    {"peak_per_second", COUNT, 0},
    {"unit", LATER_TEXT, 15},
    {"signals", LATER_TEXT, L7S_EPISODE_SIGNALS_TEXT},
    {"units", LATER_COUNT, 0},
    {"observed", LATER_COUNT, 0},
    {"country", LATER_TEXT, 2},
    {"asn", LATER_COUNT, 0},
    {"query", LATER_TEXT, 256},
};

enum { MEMBERS_COUNT = sizeof MEMBERS / sizeof MEMBERS[0] };

/* What every reader of JSON holds exactly; sums over a full record do not overflow. */
#define COUNT_MAX ((int64_t)1 << 53)

/* --- writing --- */

static void set_text(json_t *out, const char *key, const char *text)
{
    char safe[257];

    l7s_utf8_copy(safe, sizeof safe, text);
    json_object_set_new(out, key, json_string(safe));
}

static void set_count(json_t *out, const char *key, uint64_t count)
{
    json_object_set_new(out, key,
                        json_integer(count > COUNT_MAX ? COUNT_MAX : (json_int_t)count));
}

/* The opener wrote JSON text; should it be cut or damaged, the incident still goes out.
 */
static json_t *parse_key(const char *text)
{
    char safe[1024];
    json_t *key = NULL;

    l7s_utf8_copy(safe, sizeof safe, text);
    key = json_loads(safe, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(key)) {
        return key;
    }
    json_decref(key);
    return json_object();
}

static void set_facts(json_t *out, const l7s_episode_facts_t *facts)
{
    char client[L7S_ADDR_TEXT];

    l7s_addr_text(&facts->client, client);
    set_text(out, "id", facts->id);
    set_text(out, "policy", facts->policy);
    set_text(out, "mode", l7s_mode_name(facts->mode));
    set_text(out, "detector", facts->detector);
    json_object_set_new(out, "key", parse_key(facts->key));
    set_text(out, "app", facts->app);
    set_text(out, "host", facts->host);
    set_text(out, "path", facts->path);
    set_text(out, "method", facts->method);
    set_text(out, "user_agent", facts->user_agent);
    set_text(out, "client", client);
    json_object_set_new(out, "campaign", json_boolean(facts->campaign != 0));
    set_count(out, "revision", facts->revision);
    set_count(out, "started_ms", facts->started_ms);
    set_count(out, "limit", facts->limit);
    set_count(out, "per_seconds", facts->per_seconds);
    if (strcmp(facts->unit, "requests") != 0) {
        set_text(out, "unit", facts->unit);
    }
    if (facts->observed != 0) {
        set_count(out, "observed", facts->observed);
    }
    if (facts->country[0] != '\0') {
        set_text(out, "country", facts->country);
    }
    if (facts->asn != 0) {
        set_count(out, "asn", facts->asn);
    }
    if (facts->query[0] != '\0') {
        set_text(out, "query", facts->query);
    }
}

static void set_counts(json_t *out, const l7s_episode_t *episode)
{
    uint64_t last_ms = atomic_load(&episode->last_ms);
    char clients[65], signals[L7S_EPISODE_SIGNALS_TEXT];

    for (size_t i = 0; i < 4; i++) {
        snprintf(clients + i * 16, 17, "%016" PRIx64, atomic_load(&episode->clients[i]));
    }
    set_text(out, "clients", clients);
    set_count(out, "last_ms",
              last_ms > episode->facts.started_ms ? last_ms : episode->facts.started_ms);
    set_count(out, "ban_until_ms", atomic_load(&episode->ban_until_ms));
    set_count(out, "requests", atomic_load(&episode->requests));
    set_count(out, "acted", atomic_load(&episode->acted));
    set_count(out, "passed", atomic_load(&episode->passed));
    set_count(out, "peak_per_second", atomic_load(&episode->peak_per_second));
    l7s_episode_signals_text(episode, signals);
    if (signals[0] != '\0') { /* of printable ASCII */
        json_object_set_new(out, "signals", json_string(signals));
    }
    if (atomic_load(&episode->units) > 0) {
        set_count(out, "units", atomic_load(&episode->units));
    }
}

/* What is done now; a ban that a later step would make has not been made yet. */
static void set_action(json_t *out, const l7s_episode_t *episode)
{
    uint32_t escalated = atomic_load(&episode->escalated);
    const char *action = (escalated & 0xff) > 1
                             ? l7s_action_name((l7s_action_t)(escalated >> 8 & 0xff))
                             : episode->facts.action;

    set_text(out, "action", action);
    set_text(out, "ban_id", strcmp(action, "ban") == 0 ? episode->facts.ban_id : "");
}

json_t *l7s_incident_report(const char *node, const l7s_episode_t *episode, bool ended)
{
    json_t *out = json_object();

    set_text(out, "node", node);
    set_text(out, "state", ended ? "ended" : "active");
    set_facts(out, &episode->facts);
    set_counts(out, episode);
    set_action(out, episode);
    return out;
}

bool l7s_incident_is_notice(const char *kind)
{
    return strcmp(kind, "store_degraded") == 0 || strcmp(kind, "guard_tripped") == 0;
}

json_t *l7s_incident_notice(const l7s_notice_t *notice)
{
    json_t *out = json_object();

    for (size_t i = 0; i < MEMBERS_COUNT; i++) {
        if (MEMBERS[i].kind >= LATER_TEXT) {
            continue;
        }
        json_t *empty = MEMBERS[i].kind == TEXT    ? json_string("")
                        : MEMBERS[i].kind == COUNT ? json_integer(0)
                        : MEMBERS[i].kind == FLAG  ? json_false()
                                                   : json_object();
        json_object_set_new(out, MEMBERS[i].name, empty);
    }
    set_text(out, "node", notice->node);
    set_text(out, "id", notice->id);
    set_text(out, "state", notice->ended ? "ended" : "active");
    set_text(out, "policy", notice->policy);
    set_text(out, "mode", l7s_mode_name(notice->mode));
    set_text(out, "detector", notice->kind);
    set_text(out, "action", notice->action);
    set_text(json_object_get(out, "key"), notice->key_name, notice->key_value);
    set_count(out, "revision", notice->revision);
    set_count(out, "started_ms", notice->started_ms);
    set_count(out, "last_ms",
              notice->last_ms > notice->started_ms ? notice->last_ms
                                                   : notice->started_ms);
    return out;
}

/* --- reading --- */

static bool key_fits(const json_t *key, size_t max)
{
    const char *name = NULL;
    json_t *value = NULL;

    if (!json_is_object(key) || json_object_size(key) > L7S_KEY_PARTS_MAX) {
        return false;
    }
    json_object_foreach((json_t *)key, name, value)
    {
        if (strlen(name) > 96 || !json_is_string(value) ||
            json_string_length(value) > max) {
            return false;
        }
    }
    return true;
}

static bool member_fits(const json_t *value, kind_t kind, size_t max)
{
    int64_t count = 0;

    switch (kind) {
    case TEXT:
        return json_is_string(value) && json_string_length(value) <= max;
    case COUNT:
        return l7s_json_integer(value, &count) && count >= 0 && count <= COUNT_MAX;
    case MOMENT: /* a record shows it as text: it must be one */
        return l7s_json_integer(value, &count) && count > 0 &&
               (uint64_t)count <= L7S_TIME_LAST_MS;
    case FLAG:
        return json_is_boolean(value);
    case KEY:
        return key_fits(value, max);
    case LATER_TEXT:
        return value == NULL || member_fits(value, TEXT, max);
    case LATER_COUNT:
        return value == NULL || member_fits(value, COUNT, max);
    }
    return false;
}

static bool is_id(const char *id)
{
    return strncmp(id, "inc_", 4) == 0 && strlen(id) == 30 &&
           strspn(id + 4, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == 26;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

l7s_status_t l7s_incident_report_check(const json_t *report)
{
    l7s_mode_t mode = L7S_MODE_OFF;

    for (size_t i = 0; i < MEMBERS_COUNT; i++) {
        if (!member_fits(json_object_get(report, MEMBERS[i].name), MEMBERS[i].kind,
                         MEMBERS[i].max)) {
            return L7S_INVALID;
        }
    }
    return is_id(l7s_report_text(report, "id")) &&
                   is_one_of(l7s_report_text(report, "state"), "active", "ended") &&
                   l7s_mode_parse(l7s_report_text(report, "mode"), &mode) &&
                   *l7s_report_text(report, "node") != '\0' &&
                   (*l7s_report_text(report, "policy") != '\0' ||
                    l7s_incident_is_notice(l7s_report_text(report, "detector")))
               ? L7S_OK
               : L7S_INVALID;
}

json_t *l7s_report_copy(const json_t *report)
{
    json_t *out = json_object();

    for (size_t i = 0; i < MEMBERS_COUNT; i++) {
        json_t *value = json_object_get(report, MEMBERS[i].name);

        if (value != NULL) {
            json_object_set(out, MEMBERS[i].name, value);
        }
    }
    return out;
}

const char *l7s_report_text(const json_t *report, const char *name)
{
    const char *text = json_string_value(json_object_get(report, name));

    return text == NULL ? "" : text;
}

uint64_t l7s_report_count(const json_t *report, const char *name)
{
    int64_t count = 0;

    return l7s_json_integer(json_object_get(report, name), &count) && count > 0
               ? (uint64_t)count
               : 0;
}
