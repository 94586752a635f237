/* SPDX-License-Identifier: Apache-2.0
 *
 * See lint.h. Coverage is decided member by member: an empty one of the whole covers
 * everything, else each text of the part must be covered by one of the whole's.
 */
#include "lint.h"

#include "../path.h"

#include <string.h>

/* --- texts --- */

static bool is_literal(const char *text)
{
    return strchr(text, '*') == NULL;
}

static bool host_covers(const char *whole, const char *part)
{
    return strcmp(whole, part) == 0 ||
           (is_literal(part) && l7s_host_matches(whole, part));
}

/* "/a/ **" (without the blank) covers whatever begins with "/a/". */
static bool path_covers(const char *whole, const char *part)
{
    size_t size = strlen(whole);

    if (strcmp(whole, part) == 0 || (is_literal(part) && l7s_path_matches(whole, part))) {
        return true;
    }
    return size >= 3 && strcmp(whole + size - 3, "/**") == 0 &&
           strcspn(whole, "*") == size - 2 && strncmp(whole, part, size - 2) == 0;
}

static bool same(const char *whole, const char *part)
{
    return strcmp(whole, part) == 0;
}

static bool texts_cover(const l7s_strings_t *whole, const l7s_strings_t *part,
                        bool (*covers)(const char *whole, const char *part))
{
    if (whole->count == 0) {
        return true;
    }
    for (size_t i = 0; i < part->count; i++) {
        bool found = false;
        for (size_t k = 0; k < whole->count && !found; k++) {
            found = covers(whole->items[k], part->items[i]);
        }
        if (!found) {
            return false;
        }
    }
    return part->count > 0;
}

/* --- conditions --- */

static bool same_condition(const l7s_header_match_t *a, const l7s_header_match_t *b)
{
    bool lists = (a->list == NULL) == (b->list == NULL) &&
                 (a->list == NULL || strcmp(a->list, b->list) == 0);

    return a->field == b->field && strcmp(a->name, b->name) == 0 && a->is == b->is &&
           lists &&
           texts_cover(&a->values, &b->values, same) ==
               (b->values.count > 0 || a->values.count == 0) &&
           a->values.count == b->values.count;
}

/* Whatever the whole asks for, the part asks for, too. */
static bool conditions_cover(const l7s_header_match_t *whole, size_t whole_count,
                             const l7s_header_match_t *part, size_t part_count)
{
    for (size_t i = 0; i < whole_count; i++) {
        bool found = false;
        for (size_t k = 0; k < part_count && !found; k++) {
            found = same_condition(&whole[i], &part[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool has_text(const l7s_strings_t *texts, const char *wanted)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (strcmp(texts->items[i], wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* Values that are listed and have none in common; of a field that comes once. */
static bool are_disjoint(const l7s_header_match_t *a, const l7s_header_match_t *b)
{
    if (a->is != L7S_IS_EQUALS || b->is != L7S_IS_EQUALS || a->list != NULL ||
        b->list != NULL || a->field != L7S_FIELD_HEADER) {
        return false;
    }
    for (size_t i = 0; i < a->values.count; i++) {
        if (has_text(&b->values, a->values.items[i])) {
            return false;
        }
    }
    return true;
}

bool l7s_conditions_contradict(const l7s_header_match_t *conditions, size_t count,
                               size_t *second)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            const l7s_header_match_t *a = &conditions[k], *b = &conditions[i];
            bool absent = (a->is == L7S_IS_ABSENT) != (b->is == L7S_IS_ABSENT);
            if (a->field == b->field && strcmp(a->name, b->name) == 0 &&
                (absent || are_disjoint(a, b))) {
                *second = i;
                return true;
            }
        }
    }
    return false;
}

/* --- clients --- */

static bool networks_cover(const l7s_match_t *whole, const l7s_cidr_t *part)
{
    for (size_t i = 0; i < whole->network_count; i++) {
        if (whole->networks[i].prefix <= part->prefix &&
            l7s_cidr_contains(&whole->networks[i], &part->base)) {
            return true;
        }
    }
    return false;
}

static bool numbers_cover(const uint32_t *whole, size_t whole_count, const uint32_t *part,
                          size_t part_count)
{
    for (size_t i = 0; i < part_count; i++) {
        bool found = false;
        for (size_t k = 0; k < whole_count && !found; k++) {
            found = whole[k] == part[i];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool clients_cover(const l7s_match_t *whole, const l7s_match_t *part)
{
    if (!whole->has_client) {
        return true;
    }
    for (size_t i = 0; i < part->network_count; i++) {
        if (!networks_cover(whole, &part->networks[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < part->client_lists.count; i++) {
        if (!has_text(&whole->client_lists, part->client_lists.items[i])) {
            return false;
        }
    }
    return part->has_client &&
           numbers_cover(whole->countries, whole->country_count, part->countries,
                         part->country_count) &&
           numbers_cover(whole->asns, whole->asn_count, part->asns, part->asn_count);
}

/* --- the whole --- */

bool l7s_match_covers(const l7s_match_t *whole, const l7s_match_t *part)
{
    return texts_cover(&whole->apps, &part->apps, same) &&
           texts_cover(&whole->hosts, &part->hosts, host_covers) &&
           texts_cover(&whole->methods, &part->methods, same) &&
           texts_cover(&whole->paths, &part->paths, path_covers) &&
           texts_cover(&whole->patterns, &part->patterns, same) &&
           conditions_cover(whole->headers, whole->header_count, part->headers,
                            part->header_count) &&
           conditions_cover(whole->pairs, whole->pair_count, part->pairs,
                            part->pair_count) &&
           clients_cover(whole, part);
}

/* Whoever is exempt from the whole must be exempt from the part as well. */
static bool exceptions_cover(const l7s_policy_t *whole, const l7s_policy_t *part)
{
    for (size_t i = 0; i < whole->except_count; i++) {
        bool found = false;
        for (size_t k = 0; k < part->except_count && !found; k++) {
            found = l7s_match_covers(&part->except[k], &whole->except[i]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

bool l7s_policy_covers(const l7s_policy_t *whole, const l7s_policy_t *part)
{
    return whole->any_count == 0 && whole->signals.count == 0 &&
           l7s_match_covers(&whole->match, &part->match) && exceptions_cover(whole, part);
}
