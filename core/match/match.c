/* SPDX-License-Identifier: Apache-2.0
 *
 * What no index can tell: values of headers, long lists, globs, exceptions. Every loop is
 * bounded by the request's length or by the image.
 */
#include "match.h"
#include "../path.h"

#include <string.h>

void l7s_matcher_begin(l7s_matcher_t *matcher, const l7s_image_t *image,
                       const l7s_request_t *request)
{
    matcher->image = image;
    matcher->request = request;
    matcher->app = request->app;
    matcher->app_index = L7S_NONE;
    matcher->app_mode = L7S_MODE_ENFORCE;
    matcher->headers_known = 0;
    matcher->lists_known = 0;
    matcher->scanned = 0;
    matcher->query_known = false;
    matcher->origin_known = false;
    matcher->asn_written = false;
    matcher->geo = NULL;
    matcher->cookies_known = false;
}

bool l7s_matcher_any_path(const l7s_matcher_t *matcher, l7s_run_t globs)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, globs);

    for (uint32_t i = 0; i < globs.count; i++) {
        if (l7s_path_matches(l7s_image_text(matcher->image, refs[i]),
                             matcher->request->path)) {
            return true;
        }
    }
    return false;
}

/* --- headers --- */

const char *l7s_matcher_header(l7s_matcher_t *matcher, uint32_t header)
{
    const l7s_request_t *request = matcher->request;
    const uint32_t *names = l7s_image_section(matcher->image, L7S_SECTION_HEADERS);
    uint64_t bit = header < L7S_CACHED_HEADERS ? 1ULL << header : 0;
    const char *value;

    if ((matcher->headers_known & bit) != 0) {
        return matcher->headers[header];
    }
    value = request->header != NULL
                ? request->header(request->context,
                                  l7s_image_text(matcher->image, names[header]))
                : NULL;
    if (bit != 0) {
        matcher->headers_known |= bit;
        matcher->headers[header] = value;
    }
    return value;
}

/* '*' is any run of bytes. After a mismatch only the last star can take more, so nothing
 * is ever tried twice for an earlier one. */
static bool value_matches_glob(const char *glob, const char *value)
{
    const char *star = NULL, *resume = NULL;

    while (*value != '\0') {
        if (*glob == '*') {
            star = ++glob;
            resume = value;
        } else if (*glob == *value) {
            glob++;
            value++;
        } else if (star != NULL) {
            glob = star;
            value = ++resume;
        } else {
            return false;
        }
    }
    while (*glob == '*') {
        glob++;
    }
    return *glob == '\0';
}

static bool value_is(l7s_is_t is, const char *value, const char *wanted)
{
    switch (is) {
    case L7S_IS_EQUALS:
        return strcmp(value, wanted) == 0;
    case L7S_IS_CONTAINS:
        return strstr(value, wanted) != NULL;
    default:
        return value_matches_glob(wanted, value);
    }
}

bool l7s_matcher_has_string(const l7s_matcher_t *matcher, uint32_t list,
                            const char *value)
{
    return value != NULL && l7s_image_string(matcher->image, list, value) != NULL;
}

bool l7s_matcher_holds(l7s_matcher_t *matcher, const l7s_condition_t *condition,
                       const char *value)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, condition->values);

    if (condition->is == L7S_IS_PRESENT || condition->is == L7S_IS_ABSENT) {
        return (value != NULL) == (condition->is == L7S_IS_PRESENT);
    }
    if (condition->list != L7S_NONE) {
        return l7s_matcher_has_string(matcher, condition->list, value);
    }
    if (condition->is == L7S_IS_REGEX) {
        return value != NULL && l7s_matcher_any_pattern(matcher, condition->values,
                                                        condition->subject, value);
    }
    for (uint32_t i = 0; value != NULL && i < condition->values.count; i++) {
        if (value_is(condition->is, value, l7s_image_text(matcher->image, refs[i]))) {
            return true;
        }
    }
    return false;
}

static bool holds_conditions(l7s_matcher_t *matcher, l7s_run_t run)
{
    const l7s_condition_t *conditions =
        l7s_image_section(matcher->image, L7S_SECTION_CONDITIONS);

    for (uint32_t i = 0; i < run.count; i++) {
        const l7s_condition_t *condition = &conditions[run.first + i];
        if (condition->field != L7S_FIELD_HEADER
                ? !l7s_matcher_pair_holds(matcher, condition)
                : !l7s_matcher_holds(matcher, condition,
                                     l7s_matcher_header(matcher, condition->header))) {
            return false;
        }
    }
    return true;
}

/* --- addresses --- */

bool l7s_matcher_in_ranges(const l7s_matcher_t *matcher, l7s_ranges_t ranges)
{
    const l7s_image_t *image = matcher->image;
    const l7s_addr_t *client = &matcher->request->client;
    const l7s_range4_t *fours = l7s_image_section(image, L7S_SECTION_RANGES4);
    const l7s_addr_range_t *sixes = l7s_image_section(image, L7S_SECTION_RANGES6);

    if ((ranges.v4.count | ranges.v6.count) == 0) {
        return false;
    }
    return l7s_addr_is_v4(client)
               ? l7s_cidrset_contains4(fours + ranges.v4.first, ranges.v4.count, client)
               : l7s_cidrset_contains6(sixes + ranges.v6.first, ranges.v6.count, client);
}

static bool is_member(l7s_matcher_t *matcher, const l7s_image_list_t *list)
{
    switch (list->kind) {
    case L7S_LIST_COUNTRIES:
        return l7s_matcher_in_countries(matcher, list->codes);
    case L7S_LIST_ASNS:
        return l7s_matcher_in_asns(matcher, list->codes);
    default:
        return l7s_matcher_in_ranges(matcher, list->ranges);
    }
}

bool l7s_matcher_in_list(l7s_matcher_t *matcher, uint32_t list)
{
    const l7s_image_list_t *lists = l7s_image_section(matcher->image, L7S_SECTION_LISTS);
    uint64_t bit = list < L7S_CACHED_LISTS ? 1ULL << list : 0;
    bool in;

    if ((matcher->lists_known & bit) != 0) {
        return (matcher->lists_in & bit) != 0;
    }
    in = is_member(matcher, &lists[list]);
    matcher->lists_known |= bit;
    matcher->lists_in = in ? matcher->lists_in | bit : matcher->lists_in & ~bit;
    return in;
}

static bool holds_client(l7s_matcher_t *matcher, const l7s_image_match_t *match)
{
    const uint32_t *lists = l7s_image_refs(matcher->image, match->lists);

    if (!match->has_client || l7s_matcher_in_ranges(matcher, match->ranges) ||
        l7s_matcher_in_countries(matcher, match->countries) ||
        l7s_matcher_in_asns(matcher, match->asns)) {
        return true;
    }
    for (uint32_t i = 0; i < match->lists.count; i++) {
        if (l7s_matcher_in_list(matcher, lists[i])) {
            return true;
        }
    }
    return false;
}

/* --- whole matches --- */

static bool any_host(const l7s_matcher_t *matcher, l7s_run_t patterns)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, patterns);

    for (uint32_t i = 0; i < patterns.count; i++) {
        if (l7s_host_matches(l7s_image_text(matcher->image, refs[i]),
                             matcher->request->host)) {
            return true;
        }
    }
    return patterns.count == 0;
}

static bool any_method(const l7s_matcher_t *matcher, l7s_run_t methods)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, methods);

    for (uint32_t i = 0; i < methods.count; i++) {
        if (strcmp(l7s_image_text(matcher->image, refs[i]), matcher->request->method) ==
            0) {
            return true;
        }
    }
    return methods.count == 0;
}

bool l7s_matcher_in_apps(const l7s_matcher_t *matcher, l7s_run_t apps)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, apps);

    for (uint32_t i = 0; i < apps.count; i++) {
        if (refs[i] == matcher->app_index) {
            return true;
        }
    }
    return apps.count == 0;
}

static bool any_pattern(l7s_matcher_t *matcher, const l7s_image_match_t *match)
{
    return match->patterns.count == 0 ||
           l7s_matcher_any_pattern(matcher, match->patterns, matcher->image->path_subject,
                                   matcher->request->path);
}

static bool holds_whole(l7s_matcher_t *matcher, const l7s_image_match_t *match)
{
    return l7s_matcher_in_apps(matcher, match->apps) &&
           any_method(matcher, match->methods) && any_host(matcher, match->hosts) &&
           (match->paths.count == 0 || l7s_matcher_any_path(matcher, match->paths)) &&
           holds_client(matcher, match) && holds_conditions(matcher, match->conditions) &&
           any_pattern(matcher, match);
}

static bool any_whole(l7s_matcher_t *matcher, l7s_run_t run)
{
    const l7s_image_match_t *matches =
        l7s_image_section(matcher->image, L7S_SECTION_MATCHES);

    for (uint32_t i = 0; i < run.count; i++) {
        if (holds_whole(matcher, &matches[run.first + i])) {
            return true;
        }
    }
    return false;
}

bool l7s_matcher_closer(l7s_matcher_t *matcher, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(matcher->image, index);
    const l7s_image_match_t *matches =
        l7s_image_section(matcher->image, L7S_SECTION_MATCHES);
    const l7s_image_match_t *own = &matches[policy->match];

    if ((matcher->unsure[index / 64] >> index % 64 & 1) != 0 &&
        !l7s_matcher_any_path(matcher, own->paths)) {
        return false;
    }
    if ((policy->closer & L7S_CLOSER_CLIENT) != 0 && !holds_client(matcher, own)) {
        return false;
    }
    if ((policy->closer & L7S_CLOSER_PATTERN) != 0 && !any_pattern(matcher, own)) {
        return false;
    }
    if ((policy->closer & L7S_CLOSER_PAIRS) != 0 &&
        !holds_conditions(matcher, own->conditions)) {
        return false;
    }
    return (policy->any.count == 0 || any_whole(matcher, policy->any)) &&
           !any_whole(matcher, policy->except);
}
