/* SPDX-License-Identifier: Apache-2.0
 *
 * What an image looks like inside. Only compile.c writes it, image.c checks it, match.c,
 * tuple.c and decide.c read it; everybody else asks through image.h.
 *
 *   +----------------+ 0
 *   | l7s_image_t    | counting key, the tables' heads, where each section is
 *   +----------------+ sections[0].at
 *   | policies       | fixed records, by priority and name: bit p of a set is policy p
 *   +----------------+ sections[1].at
 *   | limits         |
 *   +----------------+ …
 *   | text           | strings, each with its NUL; offset 0 is ""
 *   +----------------+ size
 *
 * Records refer to each other by index and to strings by their offset in the text
 * section. A set is `words` 64-bit words: bit p for policy p, then bit policies + a for
 * the declared app a, so that one walk of a request's path finds both its app and its
 * policies.
 *
 * Hash tables of strings are open addressed and at most half full; the hash needs no key,
 * since only the configuration fills them and a look-up is no longer than their longest
 * run.
 */
#ifndef L7S_IMAGE_LAYOUT_H
#define L7S_IMAGE_LAYOUT_H

#include "../count/ratio.h"
#include "../mode.h"
#include "../rule.h"
#include "cidrset.h"
#include "image.h"
#include "pattern.h"

#define L7S_IMAGE_MAGIC 0x6567616d69733774ULL
#define L7S_IMAGE_VERSION 19
#define L7S_IMAGE_MAX ((size_t)1 << 30)
#define L7S_STEPS_PER_POLICY 4
#define L7S_NONE UINT32_MAX

typedef enum {
    L7S_SECTION_POLICIES,
    L7S_SECTION_LIMITS,
    L7S_SECTION_LIMIT_IDS, /* uint32_t: 1 + limit, a hash table by id; 0 = free */
    L7S_SECTION_SPECS,
    L7S_SECTION_MATCHES,
    L7S_SECTION_CONDITIONS,
    L7S_SECTION_TESTS,
    L7S_SECTION_REFS, /* uint32_t: what a run of indexes or string offsets refers to */
    L7S_SECTION_SETS, /* uint64_t */
    L7S_SECTION_RANGES4,
    L7S_SECTION_RANGES6,
    L7S_SECTION_INTERVALS4,
    L7S_SECTION_INTERVALS6,
    L7S_SECTION_LISTS,
    L7S_SECTION_STRINGS,
    L7S_SECTION_PLANS,
    L7S_SECTION_APPS,
    L7S_SECTION_HEADERS, /* uint32_t: the names of the headers that anything asks for */
    L7S_SECTION_QUERIES, /* uint32_t: names of parameters, likewise */
    L7S_SECTION_COOKIES, /* uint32_t: names of cookies, likewise */
    L7S_SECTION_RESPONSES,
    L7S_SECTION_ENTRIES,
    L7S_SECTION_SUBJECTS,
    L7S_SECTION_PATTERNS, /* bytes: databases, each at a multiple of 64 */
    L7S_SECTION_STEPS,
    L7S_SECTION_TEXT,
    L7S_SECTIONS
} l7s_section_id_t;

typedef struct {
    uint32_t at; /* bytes from the image's start, a multiple of 8; of patterns, of 64 */
    uint32_t count;
} l7s_section_t;

/* A run of records in a section known from the context. */
typedef struct {
    uint32_t first, count;
} l7s_run_t;

/* A set of networks (cidrset.h), each family in its section. */
typedef struct {
    l7s_run_t v4, v6;
} l7s_ranges_t;

/* One string of a hash table. length 0: free. In a table of sets `sure` is the set whose
 * policies take this string, `maybe` those that must still look at the whole path; in a
 * table of names `sure` is the index of the record and `maybe` is 0. */
typedef struct {
    uint32_t hash, text, length, sure, maybe;
} l7s_entry_t;

/* `lengths` has bit n for strings of n bytes, bit 63 for all longer ones: most strings of
 * a request need not be hashed to know that they are not in the table. */
typedef struct {
    uint64_t lengths; /* 0 = nothing in it */
    uint32_t first;   /* in the entries' section */
    uint32_t mask;    /* places - 1 */
} l7s_names_t;

static inline bool l7s_names_has_length(const l7s_names_t *names, size_t length)
{
    return (names->lengths >> (length < 63 ? length : 63) & 1) != 0;
}

/* From this address on, up to the next interval, clients belong to `set`. The first one
 * of each family begins at its first address. */
typedef struct {
    uint32_t first; /* in host order */
    uint32_t set;
} l7s_interval4_t;

typedef struct {
    uint64_t hi, lo; /* in host order */
    uint32_t set, reserved;
} l7s_interval6_t;

/* One tuple that something counts by; policies that count alike share it. The first one,
 * L7S_SPEC_CLIENT, is always the client alone. */
#define L7S_SPEC_CLIENT 0
#define L7S_SPECS_MAX (L7S_POLICIES_MAX + 8)
typedef struct {
    uint8_t part_count;
    uint8_t when_absent; /* l7s_absent_t */
    uint8_t ipv4_prefix, ipv6_prefix;
    uint8_t parts[L7S_KEY_PARTS_MAX]; /* l7s_part_t */
    uint32_t
        names[L7S_KEY_PARTS_MAX]; /* its index, where the part is a header or cookie */
} l7s_spec_t;

/* All members must hold; a run of none holds always. */
typedef struct {
    l7s_run_t apps;       /* refs: apps */
    l7s_run_t hosts;      /* refs: patterns */
    l7s_run_t methods;    /* refs: names */
    l7s_run_t paths;      /* refs: globs */
    l7s_run_t conditions; /* on headers, parameters, cookies */
    l7s_ranges_t ranges;  /* client.in: literal networks … */
    l7s_run_t lists;      /* refs: … and lists */
    uint32_t has_client;  /* client.in was given: one of these must hold it */
    uint32_t reserved;
    l7s_run_t patterns;        /* refs: numbers of patterns, of which the path has any */
    l7s_run_t countries, asns; /* refs: … or these, ascending */
} l7s_image_match_t;

/* Where many texts are looked for in one header, most are ruled out by pairs of
 * neighbouring bytes: `pairs` are the places (l7s_pair_place) of four that stand in the
 * condition's only text, and a value without one of them does not contain it. */
#define L7S_CONDITION_PAIRS 4

typedef struct {
    uint32_t header;  /* index of the name, which need not be a header's */
    uint32_t is;      /* l7s_is_t */
    l7s_run_t values; /* refs: texts, any of them */
    uint32_t paired;  /* `pairs` tells something */
    uint8_t pairs[L7S_CONDITION_PAIRS];
    uint32_t list;    /* … or any value of this list of strings; L7S_NONE: of no list */
    uint32_t field;   /* l7s_field_t */
    uint32_t subject; /* of patterns: then `values` are their numbers */
} l7s_condition_t;

/* What patterns look at: the database in which all of them are. */
typedef struct {
    uint32_t at, size; /* in the section of patterns */
} l7s_subject_t;

/* Policies of one word of a set that require a condition. Tests of one condition stand
 * together. */
typedef struct {
    uint64_t policies;
    uint32_t word;
    uint32_t condition;
} l7s_test_t;

/* What is done about a request that trips. */
typedef struct {
    uint32_t response;
    uint32_t seconds; /* of a ban, or of a pass */
    uint16_t status;
    uint8_t action;  /* l7s_action_t */
    uint8_t kind;    /* l7s_challenge_t */
    uint8_t bits;    /* of a proof of work */
    uint8_t refuses; /* whoever cannot be challenged */
    uint8_t reserved[2];
} l7s_image_sanction_t;

/* The limit counts episodes and is none of the policy's own. */
typedef struct {
    l7s_image_sanction_t sanction;
    uint32_t limit;
} l7s_image_step_t;

enum {
    L7S_CLOSER_CLIENT = 1,
    L7S_CLOSER_EXCEPT = 2,
    L7S_CLOSER_PATTERN = 4,
    L7S_CLOSER_PAIRS = 8,
    L7S_CLOSER_ANY = 16
};

typedef struct {
    l7s_hash128_t identity; /* of its first limit, or of `always` */
    uint32_t name;
    uint32_t match;   /* what the index cannot tell; paths are the complex globs */
    l7s_run_t except; /* matches */
    l7s_run_t limits; /* none: the detector is none of rates */
    uint32_t spec;
    uint32_t stats_row;
    uint8_t action;    /* l7s_action_t, that of `sanction` */
    uint8_t mode;      /* l7s_mode_t; a policy that is off has no bit in any set */
    uint8_t rollout;   /* percent */
    uint8_t closer;    /* what the index does not tell: L7S_CLOSER_… */
    uint8_t strict;    /* its limits are asked in the store */
    uint8_t when_down; /* l7s_down_t */
    uint8_t reserved2[2];
    l7s_run_t plans;
    uint32_t plan_list, plan_header; /* with plans: indexes */
    l7s_run_t steps;                 /* escalate */
    uint32_t may_ban;                /* by its action or a step */
    uint8_t deferred;   /* charged when the answer is known: L7S_AWAITS_… */
    uint8_t apart;      /* strict or deferred: not charged with the others */
    uint8_t cost;       /* l7s_cost_t */
    uint8_t by_user;    /* asked when the user is known */
    l7s_run_t signals;  /* refs: names, any of them; none: whatever was signalled */
    l7s_run_t statuses; /* refs: lowest << 16 | highest, any of them; none: every one */
    l7s_run_t any;      /* matches */
    l7s_image_sanction_t sanction;
    uint32_t concurrency; /* the most requests in flight; 0: not its detector */
    l7s_ratio_t ratio;    /* the share of failing answers; percent 0: likewise */
    l7s_run_t tallies;    /* limits, with a ratio: L7S_RATIO_ANSWERED, … */
} l7s_image_policy_t;

typedef struct {
    uint32_t name;
    uint32_t effect; /* l7s_effect_t */
    l7s_ranges_t ranges;
    l7s_run_t apps;    /* refs; none: everywhere */
    l7s_run_t strings; /* of a list of strings: a hash table of 2^n places, or none */
    uint32_t kind;     /* l7s_list_kind_t */
    uint32_t reserved;
    l7s_run_t codes; /* refs: of countries or ASNs, ascending */
} l7s_image_list_t;

/* A value of a list of strings, as its digest under the counting key: values may be
 * secrets, which have no business in shared memory, and nobody outside can make values
 * that crowd one place. All zero: free. */
typedef struct {
    l7s_hash128_t digest;
    l7s_run_t grants; /* refs: what plans may ask for, as numbers */
} l7s_image_string_t;

/* Whose entry has this grant is held to these limits instead of the policy's own. */
typedef struct {
    uint32_t grant, reserved;
    l7s_run_t limits;
} l7s_image_plan_t;

/* Declared apps first, the most specific one first: the lowest bit is the request's app.
 * Behind them those that are only named by policies and lists. */
typedef struct {
    uint32_t name;
    uint32_t mode;   /* l7s_mode_t */
    uint32_t set;    /* the policies that may match in it */
    l7s_run_t paths; /* refs: the complex globs */
} l7s_image_app_t;

typedef struct {
    uint32_t name, content_type, body;
} l7s_image_response_t;

struct l7s_image {
    uint64_t magic;
    uint32_t version;
    uint32_t words; /* of a set */
    uint64_t size;
    uint64_t revision;
    l7s_hashkey_t count_key;
    l7s_section_t sections[L7S_SECTIONS];
    l7s_names_t methods, hosts, suffixes, paths, prefixes; /* of sets */
    l7s_names_t app_names, policy_names;
    l7s_names_t query_names, cookie_names;
    uint32_t any_method, any_host, any_path, any_path_maybe, any_app; /* sets */
    uint32_t declared_apps;
    uint32_t needs_app;      /* lists or policies ask for the app */
    uint32_t app_lists;      /* some list with an effect is bound to apps */
    uint32_t client_indexed; /* the intervals say something */
    uint32_t has_strict;     /* some policy is strict */
    uint32_t needs_origin;   /* something asks for a client's country or ASN */
    uint32_t origin_lists;   /* some list of these has an effect */
    uint32_t needs_user;     /* some policy counts by user */
    l7s_ranges_t listed;     /* union of all lists with an effect */
    uint64_t pattern_stamp;  /* of the section of patterns */
    uint32_t patterns;       /* how many there are; their numbers are below */
    uint32_t path_subject;   /* of the patterns that look at the path */
    uint32_t plain;          /* set: policies that l7s_policy_is_plain */
    uint32_t tested_headers; /* how many headers tests ask for: 0, 1, or 2 for more */
    uint32_t tested_header;  /* that one, or L7S_NONE */
    uint32_t records_query;  /* episodes keep the query of their first request */
    uint32_t reserved;
};

_Static_assert(sizeof(l7s_image_policy_t) % 8 == 0, "an array of them stays aligned");
_Static_assert(sizeof(l7s_image_limit_t) % 8 == 0, "an array of them stays aligned");

static inline const void *l7s_image_section(const l7s_image_t *image,
                                            l7s_section_id_t section)
{
    return (const uint8_t *)image + image->sections[section].at;
}

static inline const char *l7s_image_text(const l7s_image_t *image, uint32_t offset)
{
    return (const char *)l7s_image_section(image, L7S_SECTION_TEXT) + offset;
}

static inline const uint32_t *l7s_image_refs(const l7s_image_t *image, l7s_run_t run)
{
    return (const uint32_t *)l7s_image_section(image, L7S_SECTION_REFS) + run.first;
}

/* Does the index tell all about whom it matches, and is it held to one limit, like most?
 */
static inline bool l7s_policy_is_plain(const l7s_image_policy_t *policy)
{
    return policy->limits.count == 1 && policy->plans.count == 0 &&
           (policy->closer | policy->apart) == 0;
}

/* A word of a set with the lowest `bits` set. */
static inline uint64_t l7s_set_below(uint32_t bits)
{
    return bits >= 64 ? UINT64_MAX : (1ULL << bits) - 1;
}

static inline const l7s_image_policy_t *l7s_image_policy(const l7s_image_t *image,
                                                         uint32_t index)
{
    return (const l7s_image_policy_t *)l7s_image_section(image, L7S_SECTION_POLICIES) +
           index;
}

/* One of 256 places for two neighbouring bytes. */
static inline uint8_t l7s_pair_place(const char *pair)
{
    return (uint8_t)((uint8_t)pair[0] * 29 + (uint8_t)pair[1]);
}

/* FNV-1a, byte by byte, so that one walk of a path has the hash of every prefix. Hosts
 * are hashed from their end, where their suffixes begin. */
#define L7S_FNV_BASIS 2166136261U

static inline uint32_t l7s_fnv_step(uint32_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * 16777619U;
}

static inline uint32_t l7s_fnv(uint32_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        hash = l7s_fnv_step(hash, text[i]);
    }
    return hash;
}

/* The low bits of FNV are weak in their last byte: fold before masking. */
static inline uint32_t l7s_entry_place(uint32_t hash, uint32_t mask)
{
    return (hash ^ hash >> 15) & mask;
}

/* The entry of this string, or NULL. */
const l7s_entry_t *l7s_names_find(const l7s_image_t *image, const l7s_names_t *names,
                                  uint32_t hash, const char *text, size_t length);
/* The record of this name, or L7S_NONE. */
uint32_t l7s_names_index(const l7s_image_t *image, const l7s_names_t *names,
                         const char *text);

/* The entry of this value in a list of strings, or NULL. The hash costs the length of the
 * value, the look-up mostly one place. */
const l7s_image_string_t *l7s_image_string(const l7s_image_t *image, uint32_t list,
                                           const char *value);

/* Tells one section of patterns from another: a damaged database could crash whoever
 * scans with it. */
uint64_t l7s_pattern_stamp(const void *patterns, size_t size);

/* Where the names of these are. */
extern const l7s_section_id_t l7s_section_of_field[L7S_FIELDS];

/* Bytes of one record of each section. */
extern const uint16_t l7s_section_width[L7S_SECTIONS];

#endif
