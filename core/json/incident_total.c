/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reports of a record amount to, and what can honestly be said about it: sums,
 * and estimates that say how sure they are.
 */
#include "incident.h"
#include "incident_parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_clients(l7s_total_t *total, const char *text)
{
    for (size_t i = 0; i < L7S_CLIENT_BITS / 64 && strlen(text) == L7S_CLIENT_BITS / 4;
         i++) {
        char word[17];

        snprintf(word, sizeof word, "%.16s", text + i * 16);
        total->clients[i] |= strtoull(word, NULL, 16);
    }
}

static void add_ban(l7s_total_t *total, const json_t *report)
{
    uint64_t until = l7s_report_count(report, "ban_until_ms");
    const char *id = l7s_report_text(report, "ban_id");

    if (until > total->ban_until_ms) {
        total->ban_until_ms = until;
    }
    if (*id != '\0' && total->ban_id == NULL) {
        total->ban_id = id;
    }
}

static bool is_later(const json_t *report, const json_t *than)
{
    uint64_t revision = l7s_report_count(report, "revision");
    uint64_t other = l7s_report_count(than, "revision");

    return revision != other
               ? revision > other
               : l7s_report_count(report, "last_ms") > l7s_report_count(than, "last_ms");
}

static void add_report(l7s_total_t *total, const json_t *report)
{
    uint64_t started = l7s_report_count(report, "started_ms");
    uint64_t last = l7s_report_count(report, "last_ms");

    total->requests += l7s_report_count(report, "requests");
    total->acted += l7s_report_count(report, "acted");
    total->passed += l7s_report_count(report, "passed");
    total->units += l7s_report_count(report, "units");
    if (total->first == NULL || started < total->started_ms) {
        total->first = report;
        total->started_ms = started;
    }
    if (total->newest == NULL || is_later(report, total->newest)) {
        total->newest = report;
    }
    total->last_ms = last > total->last_ms ? last : total->last_ms;
    total->active |= strcmp(l7s_report_text(report, "state"), "active") == 0;
    total->campaign |= json_is_true(json_object_get(report, "campaign"));
    add_clients(total, l7s_report_text(report, "clients"));
    add_ban(total, report);
}

/* The fleet's peak: the highest peak of each node, added up. Nodes peak together under
 * one attack; where they do not this says too much rather than too little. */
static void add_peaks(l7s_total_t *total, const json_t *reports)
{
    json_t *peaks = json_object(), *report = NULL, *value = NULL;
    const char *id = NULL;
    uint64_t highest = 0;

    json_object_foreach((json_t *)reports, id, report)
    {
        const char *node = l7s_report_text(report, "node");
        uint64_t peak = l7s_report_count(report, "peak_per_second");

        if (peak >= highest) {
            highest = peak;
            total->peak_ms = l7s_report_count(report, "peak_ms");
        }
        if (peak >= l7s_report_count(peaks, node)) {
            json_object_set_new(peaks, node, json_integer((json_int_t)peak));
        }
    }
    json_object_foreach(peaks, id, value)
    {
        total->peak += (uint64_t)json_integer_value(value);
    }
    json_decref(peaks);
}

l7s_total_t l7s_total_of(const json_t *reports)
{
    l7s_total_t total = {0};
    const char *id = NULL;
    json_t *report = NULL;

    json_object_foreach((json_t *)reports, id, report)
    {
        add_report(&total, report);
    }
    add_peaks(&total, reports);
    total.notice = l7s_incident_is_notice(l7s_report_text(total.newest, "detector"));
    return total;
}

/* --- estimates --- */

/* Linear counting (Whang, Vander-Zanden, Taylor: "A linear-time probabilistic counting
 * algorithm", 1990): m bits of which z are clear stand for -m ln(z/m) clients. */
uint64_t l7s_total_clients(const l7s_total_t *total)
{
    unsigned set = 0;

    for (size_t i = 0; i < L7S_CLIENT_BITS / 64; i++) {
        set += (unsigned)__builtin_popcountll(total->clients[i]);
    }
    if (!total->campaign &&
        json_object_get(json_object_get(total->first, "key"), "client") != NULL) {
        return 1;
    }
    if (total->notice) {
        return 0;
    }
    if (set >= L7S_CLIENT_BITS) {
        set = L7S_CLIENT_BITS - 1; /* full: at least this many */
    }
    return set <= 1 ? 1
                    : (uint64_t)llround(
                          -L7S_CLIENT_BITS *
                          log((double)(L7S_CLIENT_BITS - set) / L7S_CLIENT_BITS));
}

/* Of what is not counted in requests, all that was charged, or, of an episode that is
 * longer than a period, its share. */
static uint64_t units_per_period(const l7s_total_t *total)
{
    uint64_t period_ms = l7s_report_count(total->newest, "per_seconds") * 1000;
    uint64_t lasted_ms = total->last_ms - total->started_ms;
    double share = lasted_ms <= period_ms ? 1 : (double)period_ms / (double)lasted_ms;

    return l7s_report_count(total->newest, "limit") +
           (uint64_t)((double)total->units * share);
}

/* The most that can have been asked within one period. 0: the detector has no rate. */
uint64_t l7s_total_per_period(const l7s_total_t *total)
{
    uint64_t seconds = l7s_report_count(total->newest, "per_seconds");
    uint64_t limit = l7s_report_count(total->newest, "limit");
    /* The limit admits as many before the first one trips; a long episode is measured by
     * its peak second. */
    uint64_t since = limit + total->requests, most = total->peak * seconds;

    if (seconds == 0) {
        return 0;
    }
    if (*l7s_report_text(total->newest, "unit") != '\0') {
        return units_per_period(total);
    }
    return since < most ? since : most > limit ? most : limit + 1;
}

bool l7s_total_is_share(const l7s_total_t *total)
{
    return strcmp(l7s_report_text(total->newest, "detector"), "ratio") == 0;
}

/* A node that only heard of a ban knows no more than that the limit was reached. */
uint64_t l7s_total_share(const l7s_total_t *total)
{
    uint64_t observed = l7s_report_count(total->newest, "observed");

    return observed != 0 ? observed : l7s_report_count(total->newest, "limit");
}

/* How far above the limit: 10 times is 10; 0 when there is no limit. A campaign has many
 * keys, each with a limit of its own, so this says nothing about it. */
static double overload(const l7s_total_t *total)
{
    uint64_t limit = l7s_report_count(total->newest, "limit");

    return limit == 0 || l7s_total_is_share(total)
               ? 0
               : (double)l7s_total_per_period(total) / (double)limit;
}

const char *l7s_total_severity(const l7s_total_t *total)
{
    double times = overload(total);

    if (total->notice) {
        return "medium";
    }
    if (total->campaign) {
        return l7s_total_clients(total) >= 100 ? "critical" : "high";
    }
    return times >= 10 ? "high" : times >= 2 || total->peak >= 100 ? "medium" : "low";
}

/* One counter tells a flood from eager use only by how far it is above the limit: never
 * below 50 %, never sure. Without a limit there is only the rate itself. */
int l7s_total_confidence(const l7s_total_t *total)
{
    double times = overload(total);

    if (total->campaign) {
        return 80;
    }
    if (times == 0) {
        return total->peak >= 10 ? 50 : 20;
    }
    return times <= 1 ? 50 : (int)(95 - 45 / times);
}
