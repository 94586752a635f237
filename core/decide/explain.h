/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image says about a request, policy by policy and list by list, without a
 * segment: who matches, what it is counted by, which limits it is held to. The same
 * matcher and the same tuples as in a decision; nothing is charged. For people who ask
 * why, not for the request path: it allocates.
 */
#ifndef L7S_EXPLAIN_H
#define L7S_EXPLAIN_H

#include "../rule.h"
#include "decide.h"

#define L7S_EXPLAIN_KEY 160

/* Borrowed from the image, and from the explanation, for the call of the visitor. */
typedef struct {
    const char *name;
    bool matches; /* everything that it asks for holds */
    bool counts;  /* it matches, and the request has what it is counted by */
    l7s_hash128_t digest;
    const char *key; /* what it is counted by as JSON, secrets as h:… */
    /* Of its plan, where there are plans; of a share its tallies (ratio.h). */
    const l7s_image_limit_t *limits;
    uint32_t limit_count;
} l7s_explained_policy_t;

typedef struct {
    const char *name;
    l7s_effect_t effect;
    bool contains; /* the client's address */
    bool applies;  /* in the request's application */
} l7s_explained_list_t;

typedef struct {
    const char *app;     /* out; NULL: none */
    l7s_mode_t app_mode; /* out; off: no policy is asked */
    void (*policy)(void *context, const l7s_explained_policy_t *policy);
    void (*list)(void *context, const l7s_explained_list_t *list);
    void *context;
} l7s_explain_t;

/* Visits lists and policies in the order in which a request meets them (those that count
 * by user come last), with the app filled in before. */
L7S_MUST_USE l7s_status_t l7s_explain(const l7s_image_t *image,
                                      const l7s_request_t *request,
                                      l7s_explain_t *explain);

#endif
