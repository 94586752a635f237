/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters of the query and cookies: read once for a request, when the first candidate
 * asks for one, and only those that somebody asks for are kept.
 */
#include "match.h"

#include <string.h>

static uint32_t wanted_query(const void *context, const char *name)
{
    const l7s_image_t *image = context;

    return l7s_names_index(image, &image->query_names, name);
}

static uint32_t wanted_cookie(const void *context, const char *name)
{
    const l7s_image_t *image = context;

    return l7s_names_index(image, &image->cookie_names, name);
}

static const l7s_pairs_t *query_of(l7s_matcher_t *matcher)
{
    const char *target = matcher->request->target;
    const char *mark = target != NULL ? strchr(target, '?') : NULL;

    if (!matcher->query_known) {
        l7s_pairs_read_query(&matcher->query, mark != NULL ? mark + 1 : NULL,
                             wanted_query, matcher->image);
        matcher->query_known = true;
    }
    return &matcher->query;
}

static const l7s_pairs_t *cookies_of(l7s_matcher_t *matcher)
{
    const l7s_request_t *request = matcher->request;

    if (!matcher->cookies_known) {
        const char *header =
            request->header != NULL ? request->header(request->context, "cookie") : NULL;
        l7s_pairs_read_cookies(&matcher->cookies, header, wanted_cookie, matcher->image);
        matcher->cookies_known = true;
    }
    return &matcher->cookies;
}

const char *l7s_matcher_cookie(l7s_matcher_t *matcher, uint32_t cookie)
{
    uint32_t at = 0;

    return l7s_pairs_next(cookies_of(matcher), cookie, &at);
}

/* Is one of the patterns found in any of the values? There is at least one. */
static bool any_found(l7s_matcher_t *matcher, const l7s_condition_t *condition,
                      const l7s_pairs_t *pairs)
{
    uint32_t at = 0;
    const char *value = l7s_matcher_is_scanned(matcher, condition->subject)
                            ? NULL
                            : l7s_pairs_next(pairs, condition->header, &at);

    while (value != NULL) {
        l7s_matcher_scan(matcher, condition->subject, value);
        value = l7s_pairs_next(pairs, condition->header, &at);
    }
    return l7s_matcher_found(matcher, condition->values);
}

bool l7s_matcher_pair_holds(l7s_matcher_t *matcher, const l7s_condition_t *condition)
{
    const l7s_pairs_t *pairs =
        condition->field == L7S_FIELD_QUERY ? query_of(matcher) : cookies_of(matcher);
    uint32_t at = 0;
    const char *value = l7s_pairs_next(pairs, condition->header, &at);

    if (value == NULL || condition->is == L7S_IS_PRESENT ||
        condition->is == L7S_IS_ABSENT) {
        return l7s_matcher_holds(matcher, condition, value);
    }
    if (condition->is == L7S_IS_REGEX) {
        return any_found(matcher, condition, pairs);
    }
    while (value != NULL && !l7s_matcher_holds(matcher, condition, value)) {
        value = l7s_pairs_next(pairs, condition->header, &at);
    }
    return value != NULL;
}
