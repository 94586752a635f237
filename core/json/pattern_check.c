/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file of core that calls Hyperscan's compiler. It compiles for the least
 * processor that the library runs on, so that a database is good on every machine that
 * the node's memory may be moved to.
 *
 * The compiler takes long for what counts far, like (.{1,100}a){100}: counted repeats may
 * unfold to REPEATS_MAX items, which keeps what is accepted to about a tenth of a second
 * and what the library itself finds too large below one.
 */
#include "pattern_check.h"

#include <ctype.h>
#include <hs/hs_compile.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dot is any byte, or a newline in a path would hide what is behind it. One hit of a
 * pattern is enough. */
#define FLAGS (HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH)

#define REPEATS_MAX 1000
#define DEPTH_MAX 32

/* How much the items of a pattern unfold to, each group within the one before. */
typedef struct {
    const char *at;
    unsigned depth;
    uint64_t last;                /* of the item that a repeat would repeat */
    uint64_t sums[DEPTH_MAX + 1]; /* of the items before it, by depth */
} unfold_t;

static void add_item(unfold_t *unfold, uint64_t weight)
{
    unfold->sums[unfold->depth] += unfold->last;
    unfold->last = weight;
}

/* Behind "[": to the bracket that ends the class. */
static void skip_class(unfold_t *unfold)
{
    const char *at = unfold->at;

    at += *at == '^';
    at += *at == ']';
    while (*at != '\0' && *at != ']') {
        at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    }
    unfold->at = at + (*at == ']');
}

/* Behind "{": the larger bound; 1 when it is no repeat. */
static uint64_t read_repeat(unfold_t *unfold)
{
    const char *at = unfold->at;
    uint64_t bounds[2] = {0, 0};
    unsigned which = 0;

    for (; isdigit((unsigned char)*at) || (*at == ',' && which == 0); at++) {
        if (*at == ',') {
            which = 1;
        } else if (bounds[which] <= REPEATS_MAX) {
            bounds[which] = bounds[which] * 10 + (uint64_t)(*at - '0');
        }
    }
    if (*at != '}') {
        return 1;
    }
    unfold->at = at + 1;
    return bounds[0] > bounds[1] ? bounds[0] : bounds[1];
}

static void close_group(unfold_t *unfold)
{
    uint64_t weight = unfold->sums[unfold->depth] + unfold->last;

    if (unfold->depth > 0) {
        unfold->depth--;
        unfold->last = weight;
    }
}

/* False: deeper than anybody writes, or too much. */
static bool unfold_item(unfold_t *unfold)
{
    switch (*unfold->at++) {
    case '\\':
        unfold->at += *unfold->at != '\0';
        add_item(unfold, 1);
        break;
    case '[':
        skip_class(unfold);
        add_item(unfold, 1);
        break;
    case '(':
        add_item(unfold, 0);
        if (unfold->depth == DEPTH_MAX) {
            return false;
        }
        unfold->sums[++unfold->depth] = 0;
        break;
    case ')':
        close_group(unfold);
        break;
    case '{':
        unfold->last *= read_repeat(unfold);
        break;
    default:
        add_item(unfold, 1);
    }
    return unfold->last <= REPEATS_MAX && unfold->sums[unfold->depth] <= REPEATS_MAX;
}

static bool counts_too_far(const char *pattern)
{
    unfold_t unfold = {.at = pattern};

    while (*unfold.at != '\0') {
        if (!unfold_item(&unfold)) {
            return true;
        }
    }
    return false;
}

bool l7s_pattern_compile(const char *const *texts, const unsigned *ids, unsigned count,
                         struct hs_database **out, char *error, size_t capacity)
{
    const hs_platform_info_t any = {0};
    hs_compile_error_t *refused = NULL;
    unsigned *flags = calloc(count, sizeof *flags);
    hs_error_t result = HS_NOMEM;

    *out = NULL;
    if (flags != NULL) {
        for (unsigned i = 0; i < count; i++) {
            flags[i] = FLAGS;
        }
        result = hs_compile_multi(texts, flags, ids, count, HS_MODE_BLOCK, &any, out,
                                  &refused);
    }
    if (refused != NULL && error != NULL) {
        snprintf(error, capacity, "%s", refused->message);
    }
    (void)hs_free_compile_error(refused);
    free(flags);
    return result == HS_SUCCESS;
}

bool l7s_pattern_error(const char *pattern, char *out, size_t capacity)
{
    const unsigned id = 0;
    hs_expr_info_t *info = NULL;
    hs_compile_error_t *refused = NULL;
    hs_database_t *database = NULL;
    char reason[192] = "";
    bool empty;

    if (counts_too_far(pattern)) {
        snprintf(out, capacity,
                 "this pattern counts too far: its repeats and groups may unfold to at "
                 "most %d items",
                 REPEATS_MAX);
        return true;
    }
    empty = hs_expression_info(pattern, FLAGS, &info, &refused) == HS_SUCCESS &&
            info->min_width == 0;
    free(info);
    (void)hs_free_compile_error(refused);
    if (l7s_pattern_compile(&pattern, &id, 1, &database, reason, sizeof reason)) {
        (void)hs_free_database(database);
        return false;
    }
    if (empty) {
        snprintf(out, capacity,
                 "this pattern is found in every text, for it also takes an empty one");
    } else {
        snprintf(out, capacity, "the pattern is refused: %s", reason);
    }
    return true;
}
