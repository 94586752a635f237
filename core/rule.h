/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary of a policy: the enumerations that the operator's model (config.h) and
 * the compiled image share. Apart from config.h because the image is evaluated where
 * there is no JSON.
 */
#ifndef L7S_RULE_H
#define L7S_RULE_H

#include "key.h"
#include <stdbool.h>

typedef enum {
    L7S_ACTION_ALLOW,
    L7S_ACTION_LOG,
    L7S_ACTION_DENY,
    L7S_ACTION_THROTTLE,
    L7S_ACTION_BAN,
    L7S_ACTION_DROP,
    L7S_ACTION_CHALLENGE
} l7s_action_t;
#define L7S_ACTION_LAST L7S_ACTION_CHALLENGE

/* How a client shows that it is a browser, or pays for not being one. */
typedef enum { L7S_CHALLENGE_COOKIE, L7S_CHALLENGE_WORK } l7s_challenge_t;

/* What a strict policy does with a request that the store gave no verdict on. */
typedef enum {
    L7S_DOWN_LOCAL, /* this node's own counter decides */
    L7S_DOWN_OPEN,
    L7S_DOWN_CLOSED
} l7s_down_t;

/* "allow", "log", …: never NULL. */
const char *l7s_action_name(l7s_action_t action);

/* What is counted of a request. All but the first are known when it has been answered. */
typedef enum {
    L7S_COST_REQUESTS,
    L7S_COST_BYTES_IN,  /* of its body */
    L7S_COST_BYTES_OUT, /* of the answer's body */
    L7S_COST_BUSY_MS,   /* for how long it kept a worker busy */
    L7S_COST_HEADER,    /* what the back end says */
    L7S_COSTS
} l7s_cost_t;

/* "requests", "bytes_in", …: never NULL. */
const char *l7s_cost_name(l7s_cost_t cost);
/* The unit that it is measured in: "requests", "bytes", …: never NULL. */
const char *l7s_cost_unit(l7s_cost_t cost);

/* What a policy waits for before it can count a request; bits. */
enum {
    L7S_AWAITS_ANSWER = 1,   /* its status, its size */
    L7S_AWAITS_BYTES_IN = 2, /* whoever reads the body must count */
    L7S_AWAITS_BUSY = 4,     /* when the worker is done with it */
    L7S_AWAITS_HEADERS = 8,  /* what the back end says of it */
    L7S_AWAITS_USER = 16     /* before that: whose request it is */
};

/* What of a request has a name and a value. */
typedef enum {
    L7S_FIELD_HEADER,
    L7S_FIELD_QUERY,
    L7S_FIELD_COOKIE,
    L7S_FIELDS
} l7s_field_t;

/* What its value must be. */
typedef enum {
    L7S_IS_PRESENT,
    L7S_IS_ABSENT,
    L7S_IS_EQUALS,
    L7S_IS_CONTAINS,
    L7S_IS_GLOB, /* '*' is any run of bytes */
    L7S_IS_REGEX
} l7s_is_t;

/* How a request counts that lacks what it would be counted by. */
typedef enum { L7S_ABSENT_CLIENT, L7S_ABSENT_SKIP, L7S_ABSENT_SHARED } l7s_absent_t;

/* Rates of one policy or plan, plans of one policy, rates of all of them. */
#define L7S_RATES_MAX 4
#define L7S_PLANS_MAX 16
#define L7S_LIMITS_MAX 4096

/* What a list holds. */
typedef enum {
    L7S_LIST_ADDRESSES,
    L7S_LIST_STRINGS,
    L7S_LIST_COUNTRIES,
    L7S_LIST_ASNS,
    L7S_LIST_KINDS
} l7s_list_kind_t;

/* "addresses", …: never NULL. */
const char *l7s_list_kind_name(l7s_list_kind_t kind);

/* Does it hold clients? */
static inline bool l7s_list_is_of_clients(l7s_list_kind_t kind)
{
    return kind != L7S_LIST_STRINGS;
}

/* What a list does by itself. */
typedef enum { L7S_EFFECT_NONE, L7S_EFFECT_ALLOW, L7S_EFFECT_DENY } l7s_effect_t;

/* The name of a part in count.by: "client", "header" (without its header), …; never NULL.
 */
const char *l7s_part_name(l7s_part_t part);

/* Is it one of many, by a name of its own? */
static inline bool l7s_part_is_named(l7s_part_t part)
{
    return part == L7S_PART_HEADER || part == L7S_PART_COOKIE;
}

/* May a request lack it? */
static inline bool l7s_part_may_lack(l7s_part_t part)
{
    return l7s_part_is_named(part) || part == L7S_PART_ASN || part == L7S_PART_COUNTRY ||
           part == L7S_PART_USER;
}

#endif
