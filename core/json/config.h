/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as the operator means it: policies, lists, apps, responses. This is
 * the model between JSON (config_json.c, policy_json.c, list_json.c) and the image
 * (compile.c). Everything in it is owned by the l7s_config_t and freed with it.
 *
 * Two layers of checking: schemas/ says what a document may look like (schema.h); the
 * parsers here check what a schema cannot say (a CIDR with host bits, a ban that would
 * hit everybody, two objects of one name) and report every problem with its pointer.
 */
#ifndef L7S_CONFIG_H
#define L7S_CONFIG_H

#include "../count/bucket.h"
#include "../count/ratio.h"
#include "../geo.h"
#include "../key.h"
#include "../mode.h"
#include "../rule.h"
#include "../segment/bans.h"
#include "../status.h"
#include <jansson.h>

typedef struct {
    size_t count;
    char **items;
} l7s_strings_t;

/* Of a header, a parameter of the query or a cookie. */
typedef struct {
    l7s_field_t field;
    char *name; /* of a header in lower case */
    l7s_is_t is;
    l7s_strings_t values; /* any of them */
    char *list;           /* … or any value of this list of strings; NULL: no list */
} l7s_header_match_t;

/* All members must hold; an empty member holds always. */
typedef struct {
    l7s_strings_t apps, hosts, methods, paths;
    l7s_strings_t patterns; /* path_regex */
    size_t header_count;
    l7s_header_match_t *headers;
    size_t pair_count;
    l7s_header_match_t *pairs; /* of the query, and cookies */
    size_t network_count;
    l7s_cidr_t *networks;       /* client.in: literal networks … */
    l7s_strings_t client_lists; /* … and lists, without the '@' */
    size_t country_count, asn_count;
    uint32_t *countries; /* of l7s_country_code */
    uint32_t *asns;
    bool has_client; /* client.in was given */
} l7s_match_t;

#define L7S_STATUSES_MAX 32

typedef struct {
    l7s_part_t part;
    char *name; /* of a header or cookie, else NULL */
} l7s_by_t;

/* What an attribute of a list's entry grants: limits of its own. */
typedef struct {
    char *name;
    size_t rate_count;
    l7s_rate_t rates[L7S_RATES_MAX];
} l7s_plan_t;

/* What is done about a request. */
typedef struct {
    l7s_action_t action;
    uint16_t status;
    uint32_t seconds; /* of a ban, or of a pass */
    l7s_challenge_t challenge;
    uint8_t bits; /* of a proof of work */
    bool refuses; /* whoever cannot be challenged */
    char response[L7S_POLICY_NAME_MAX];
} l7s_sanction_t;

#define L7S_STEPS_MAX 4

/* From the after-th episode of a key on that begins within this time. */
typedef struct {
    uint32_t after, within_seconds;
    l7s_sanction_t sanction;
} l7s_step_t;

/* What stands beside a policy for a while (override.h). */
typedef struct {
    bool has_mode, scaled; /* scaled: l7s_override_apply's own */
    l7s_mode_t mode;
    uint32_t limit_percent;
    uint64_t starts_ms; /* 0: at once */
    uint64_t until_ms;  /* 0: there is none */
} l7s_override_t;

typedef struct {
    char name[L7S_POLICY_NAME_MAX];
    l7s_mode_t mode; /* its own, whatever an override says */
    uint32_t rollout_percent;
    int32_t priority;
    l7s_match_t match;
    size_t except_count;
    l7s_match_t *except; /* each of them exempts */
    size_t any_count;
    l7s_match_t *any; /* at least one of them must hold; none: no matter */
    size_t by_count;
    l7s_by_t by[L7S_KEY_PARTS_MAX];
    l7s_absent_t when_absent;
    uint8_t ipv4_prefix, ipv6_prefix;
    size_t rate_count;               /* 0: detector "always" */
    l7s_rate_t rates[L7S_RATES_MAX]; /* all must conform; of plans: the default ones */
    size_t plan_count;
    l7s_plan_t *plans;                /* by name */
    char *plan_list, *plan_attribute; /* NULL without plans */
    l7s_strings_t signals;            /* match.signals: any of them */
    uint32_t concurrency;             /* requests in flight; 0: not the detector */
    l7s_ratio_t ratio;                /* percent 0: likewise */
    l7s_cost_t cost;
    size_t status_count;
    struct {
        uint16_t lowest, highest;
    } statuses[L7S_STATUSES_MAX]; /* count.statuses: any of them */
    bool fleet;
    bool strict;          /* consistency */
    l7s_down_t when_down; /* for strict only */
    l7s_action_t action;
    uint16_t status;
    uint32_t ban_seconds;
    char response[L7S_POLICY_NAME_MAX];
    l7s_challenge_t challenge; /* as in l7s_sanction_t */
    uint8_t bits;
    bool refuses;
    uint64_t expires_ms;  /* 0: never */
    char *spec;           /* canonical JSON of count and detect, for the identity */
    bool guard_ignored;   /* the guard leaves it alone */
    uint64_t fingerprint; /* of the whole document: another one, another policy */
    size_t step_count;
    l7s_step_t steps[L7S_STEPS_MAX]; /* escalate */
    l7s_override_t override;
} l7s_policy_t;

typedef struct {
    char *name, *value;
} l7s_attribute_t;

typedef struct {
    l7s_cidr_t network;
    uint32_t code; /* of a list of countries or ASNs */ /* of a list of addresses */
    char *text;          /* of a list of strings: perhaps a secret; else NULL */
    uint64_t expires_ms; /* 0: never */
    size_t attribute_count;
    l7s_attribute_t *attributes; /* of a list of strings */
} l7s_list_entry_t;

typedef struct {
    char name[L7S_POLICY_NAME_MAX];
    l7s_list_kind_t kind;
    l7s_effect_t effect; /* none, unless it holds clients */
    l7s_strings_t apps;
    size_t entry_count;
    l7s_list_entry_t *entries;
} l7s_list_t;

typedef struct {
    char name[L7S_POLICY_NAME_MAX];
    l7s_strings_t hosts, paths;
    uint32_t tier;
    l7s_mode_t mode;
} l7s_app_t;

typedef struct {
    char name[L7S_POLICY_NAME_MAX];
    char *content_type, *body;
} l7s_response_t;

typedef struct {
    size_t policy_count, list_count, app_count, response_count;
    l7s_policy_t *policies; /* sorted by priority, then name */
    l7s_list_t *lists;
    l7s_app_t *apps;
    l7s_response_t *responses;
    l7s_mode_t mode;        /* of settings: the kill switch */
    uint64_t mode_until_ms; /* 0: no end */
    bool is_alone;          /* of a node without a fleet: nobody hears what it counts */
    bool records_query;     /* settings.privacy.query_strings: include */
    struct {
        uint32_t max_acted_clients_percent, within_seconds;
    } guard;
} l7s_config_t;

/* Parses {"policies":[],"lists":[],"apps":[],"responses":[],"overrides":[],
 * "settings":{}}; every member is optional, `status` members are ignored. The schema is
 * checked first. On failure *out is NULL and `problems` names everything that is wrong,
 * with pointers like
 * "/policies/3/match/client/in/0". */
L7S_MUST_USE l7s_status_t l7s_config_parse(const json_t *document,
                                           l7s_problems_t *problems, l7s_config_t **out);
void l7s_config_free(l7s_config_t *config);

/* One object at a time, for the daemon: the same checks, pointers relative to it. `name`
 * comes from the path; a "name" in the document must agree ("name_mismatch"). kind is
 * "policy", "list", "app" or "response". */
L7S_MUST_USE l7s_status_t l7s_object_check(const char *kind, const char *name,
                                           const json_t *document,
                                           l7s_problems_t *problems);

/* The document with the defaults filled in: what stands under status.effective. New
 * reference, owned by the caller. */
json_t *l7s_policy_effective(const json_t *policy);

/* The list without the entries that have expired; the same one when none has. New
 * reference. */
json_t *l7s_list_unexpired(const json_t *list, uint64_t now_ms);
/* Has this entry expired? */
bool l7s_entry_expired(const json_t *entry, uint64_t now_ms);

/* Reads JSON the way everybody here does: any value, UTF-8, no duplicate keys, no NUL
 * (not as \u0000 either), depth at most 32. Problem code "invalid_json" with line and
 * column. New reference or NULL. */
json_t *l7s_json_read(const char *text, size_t size, l7s_problems_t *problems);

#endif
