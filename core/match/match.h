/* SPDX-License-Identifier: Apache-2.0
 *
 * Which policies a request matches. First the index: one look at method and host and one
 * walk of the path leave a set of candidates; then, candidate by candidate, what no index
 * can tell. What several policies ask for (a header, membership in a list) is looked up
 * once. For the evaluation of requests only.
 */
#ifndef L7S_MATCH_H
#define L7S_MATCH_H

#include "../image/image_layout.h"
#include "../pairs.h"
#include "request.h"

#define L7S_CACHED_HEADERS 64
#define L7S_CACHED_LISTS 64
#define L7S_PATTERN_WORDS (L7S_PATTERNS_MAX / 64)

/* On the caller's stack and never cleared as a whole: only `words` words of the sets and
 * what the known bits say are valid. */
typedef struct {
    const l7s_image_t *image;
    const l7s_request_t *request;
    const char *app;    /* its name, or NULL */
    uint32_t app_index; /* in the image, or L7S_NONE */
    l7s_mode_t app_mode;
    uint64_t headers_known, lists_known, lists_in;
    uint64_t scanned; /* subjects of which `hits` tells */
    bool query_known, cookies_known, origin_known, asn_written;
    const l7s_geo_t *geo; /* or NULL */
    l7s_geo_place_t origin;
    char asn[11]; /* the number as text */
    uint64_t candidates[L7S_WORDS_MAX];
    uint64_t unsure[L7S_WORDS_MAX]; /* of those: the whole path decides */
    uint64_t sure[L7S_WORDS_MAX];   /* while the path is being walked */
    const char *headers[L7S_CACHED_HEADERS];
    uint64_t hits[L7S_PATTERN_WORDS]; /* the patterns that were found */
    l7s_pairs_t query, cookies;
} l7s_matcher_t;

void l7s_matcher_begin(l7s_matcher_t *matcher, const l7s_image_t *image,
                       const l7s_request_t *request);

/* Walks the index: fills candidates and finds the app. Once per request. */
void l7s_matcher_index(l7s_matcher_t *matcher);

/* Does this candidate match? Mostly the index has told already. */
__attribute__((noinline)) bool l7s_matcher_closer(l7s_matcher_t *matcher, uint32_t index);
static inline bool l7s_matcher_policy(l7s_matcher_t *matcher, uint32_t index)
{
    return (!l7s_image_policy(matcher->image, index)->closer &&
            (matcher->unsure[index / 64] >> index % 64 & 1) == 0) ||
           l7s_matcher_closer(matcher, index);
}

/* The value of a header by the index of its name, or NULL. */
const char *l7s_matcher_header(l7s_matcher_t *matcher, uint32_t header);

/* Where the client comes from: looked up once, and mostly known from the request before.
 * match_origin.c */
const l7s_geo_place_t *l7s_matcher_origin(l7s_matcher_t *matcher);
/* As texts; NULL: not known. */
const char *l7s_matcher_country(l7s_matcher_t *matcher);
const char *l7s_matcher_asn(l7s_matcher_t *matcher);
/* Is it one of these countries, or in one of these systems? */
bool l7s_matcher_in_countries(l7s_matcher_t *matcher, l7s_run_t codes);
bool l7s_matcher_in_asns(l7s_matcher_t *matcher, l7s_run_t codes);

/* Is the client in this list? */
bool l7s_matcher_in_list(l7s_matcher_t *matcher, uint32_t list);

/* Is this value (NULL: absent) one of a list of strings? */
bool l7s_matcher_has_string(const l7s_matcher_t *matcher, uint32_t list,
                            const char *value);

/* Does this value (NULL: absent) of the condition's header satisfy it? */
bool l7s_matcher_holds(l7s_matcher_t *matcher, const l7s_condition_t *condition,
                       const char *value);

/* Does one of these globs match the path? */
bool l7s_matcher_any_path(const l7s_matcher_t *matcher, l7s_run_t globs);

/* Is one of these patterns found in the text, which is what their subject looks at? Each
 * subject is scanned once for a request. match_pattern.c */
bool l7s_matcher_any_pattern(l7s_matcher_t *matcher, l7s_run_t patterns, uint32_t subject,
                             const char *text);

/* Its parts: one more text of a subject; has it been scanned; is one of the
 * patterns among what was found? The last one may be asked after a scan only. */
void l7s_matcher_scan(l7s_matcher_t *matcher, uint32_t subject, const char *text);
bool l7s_matcher_found(const l7s_matcher_t *matcher, l7s_run_t patterns);
static inline bool l7s_matcher_is_scanned(const l7s_matcher_t *matcher, uint32_t subject)
{
    return (matcher->scanned >> subject & 1) != 0;
}

/* Does a condition on a parameter of the query or on a cookie hold? match_field.c */
bool l7s_matcher_pair_holds(l7s_matcher_t *matcher, const l7s_condition_t *condition);
/* The first value of a cookie by the index of its name, or NULL. */
const char *l7s_matcher_cookie(l7s_matcher_t *matcher, uint32_t cookie);

/* Is it in these ranges of the image? */
bool l7s_matcher_in_ranges(const l7s_matcher_t *matcher, l7s_ranges_t ranges);

/* Is a list for these apps (none: for all) meant here? The index has been walked. */
bool l7s_matcher_in_apps(const l7s_matcher_t *matcher, l7s_run_t apps);

#endif
