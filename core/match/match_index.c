/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk of the index: each dimension takes away the policies that do not match in it.
 * Every loop is bounded by the request's length or by the image; nothing is cleared that
 * is not used.
 */
#include "match.h"

#include <string.h>

static const uint64_t *set_at(const l7s_image_t *image, uint32_t first)
{
    return (const uint64_t *)l7s_image_section(image, L7S_SECTION_SETS) + first;
}

static void unite(uint64_t *into, const l7s_image_t *image, uint32_t first)
{
    const uint64_t *set = set_at(image, first);

    for (uint32_t w = 0; w < image->words; w++) {
        into[w] |= set[w];
    }
}

static void intersect(uint64_t *into, const l7s_image_t *image, const uint64_t *set)
{
    for (uint32_t w = 0; w < image->words; w++) {
        into[w] &= set[w];
    }
}

/* Mostly there is one word: then this is no call of memcpy. */
static void copy_set(uint64_t *into, const l7s_image_t *image, uint32_t first)
{
    const uint64_t *set = set_at(image, first);

    into[0] = set[0];
    for (uint32_t w = 1; w < image->words; w++) {
        into[w] = set[w];
    }
}

static bool has_bit(const uint64_t *set, uint32_t bit)
{
    return (set[bit / 64] >> bit % 64 & 1) != 0;
}

/* --- methods, hosts, paths --- */

/* In l7s_names_t.lengths: strings of 63 bytes and more. */
#define LONGER (1ULL << 63)

/* A path being walked: its bytes are hashed only as far as a table may hold a prefix. */
typedef struct {
    const char *text;
    size_t length, hashed;
    uint32_t hash;
} walk_t;

static const l7s_entry_t *find_prefix(const l7s_image_t *image, const l7s_names_t *names,
                                      walk_t *walk, size_t length)
{
    walk->hash = l7s_fnv(walk->hash, walk->text + walk->hashed, length - walk->hashed);
    walk->hashed = length;
    return l7s_names_find(image, names, walk->hash, walk->text, length);
}

static void unite_prefix(l7s_matcher_t *matcher, walk_t *walk, size_t length)
{
    const l7s_image_t *image = matcher->image;
    const l7s_entry_t *entry = find_prefix(image, &image->prefixes, walk, length);

    if (entry != NULL) {
        unite(matcher->sure, image, entry->sure);
        unite(matcher->unsure, image, entry->maybe);
    }
}

/* Prefixes of 63 bytes and more. */
static void unite_long_prefixes(l7s_matcher_t *matcher, walk_t *walk)
{
    for (size_t i = 63; i <= walk->length; i++) {
        if (walk->text[i] == '/' || walk->text[i] == '\0') {
            unite_prefix(matcher, walk, i);
        }
    }
}

/* `lengths`: where a prefix may end that is in the table. */
static __attribute__((noinline)) void walk_path(l7s_matcher_t *matcher, size_t length,
                                                uint64_t lengths)
{
    const l7s_image_t *image = matcher->image;
    walk_t walk = {matcher->request->path, length, 0, L7S_FNV_BASIS};
    const l7s_entry_t *entry;

    for (uint64_t some = lengths & ~LONGER; some != 0; some &= some - 1) {
        unite_prefix(matcher, &walk, (size_t)__builtin_ctzll(some));
    }
    if ((lengths & LONGER) != 0) {
        unite_long_prefixes(matcher, &walk);
    }
    if (l7s_names_has_length(&image->paths, length)) {
        entry = find_prefix(image, &image->paths, &walk, length);
        if (entry != NULL) {
            unite(matcher->sure, image, entry->sure);
        }
    }
}

/* Adds the bytes in front of those hashed so far: hosts are hashed from their end. */
static uint32_t hash_back(uint32_t hash, const char *from, const char *to)
{
    while (to > from) {
        hash = l7s_fnv_step(hash, *--to);
    }
    return hash;
}

/* The suffix of `length` bytes, if a dot and something stand in front of it. */
static void unite_suffix(l7s_matcher_t *matcher, walk_t *walk, size_t length,
                         uint64_t *into)
{
    const l7s_image_t *image = matcher->image;
    const char *end = walk->text + walk->length;
    const l7s_entry_t *entry;

    if (end[-(ptrdiff_t)length - 1] != '.') {
        return;
    }
    walk->hash = hash_back(walk->hash, end - length, end - walk->hashed);
    walk->hashed = length;
    entry = l7s_names_find(image, &image->suffixes, walk->hash, end - length, length);
    if (entry != NULL) {
        unite(into, image, entry->sure);
    }
}

static void walk_host(l7s_matcher_t *matcher, uint64_t *into)
{
    const l7s_image_t *image = matcher->image;
    walk_t walk = {matcher->request->host, 0, 0, L7S_FNV_BASIS};
    uint64_t lengths = image->suffixes.lengths;
    const l7s_entry_t *entry;

    walk.length = strlen(walk.text);
    for (uint64_t some = lengths & ~LONGER; some != 0; some &= some - 1) {
        size_t length = (size_t)__builtin_ctzll(some);
        if (length + 2 > walk.length) {
            break;
        }
        unite_suffix(matcher, &walk, length, into);
    }
    for (size_t i = 63; (lengths & LONGER) != 0 && i + 2 <= walk.length; i++) {
        unite_suffix(matcher, &walk, i, into);
    }
    if (l7s_names_has_length(&image->hosts, walk.length)) {
        walk.hash =
            hash_back(walk.hash, walk.text, walk.text + walk.length - walk.hashed);
        entry = l7s_names_find(image, &image->hosts, walk.hash, walk.text, walk.length);
        if (entry != NULL) {
            unite(into, image, entry->sure);
        }
    }
}

static void narrow_by_method(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    const char *method = matcher->request->method;
    const l7s_entry_t *entry = NULL;
    size_t length;

    copy_set(matcher->candidates, image, image->any_method);
    if (image->methods.lengths == 0) {
        return;
    }
    length = strlen(method);
    if (l7s_names_has_length(&image->methods, length)) {
        entry = l7s_names_find(image, &image->methods,
                               l7s_fnv(L7S_FNV_BASIS, method, length), method, length);
    }
    if (entry != NULL) {
        unite(matcher->candidates, image, entry->sure);
    }
}

static void narrow_by_host(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    uint64_t set[L7S_WORDS_MAX];

    if ((image->hosts.lengths | image->suffixes.lengths) == 0) {
        intersect(matcher->candidates, image, set_at(image, image->any_host));
        return;
    }
    copy_set(set, image, image->any_host);
    walk_host(matcher, set);
    intersect(matcher->candidates, image, set);
}

static void narrow_by_path(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    l7s_path_shape_t shape = matcher->request->shape;
    uint64_t *sure = matcher->sure, *maybe = matcher->unsure;

    if (shape.length == 0) {
        shape = l7s_path_shape(matcher->request->path);
    }
    copy_set(sure, image, image->any_path);
    copy_set(maybe, image, image->any_path_maybe);
    if ((image->prefixes.lengths & shape.ends) != 0 ||
        l7s_names_has_length(&image->paths, shape.length)) {
        walk_path(matcher, shape.length, image->prefixes.lengths & shape.ends);
    }
    for (uint32_t w = 0; w < image->words; w++) {
        matcher->candidates[w] &= sure[w] | maybe[w];
        maybe[w] = matcher->candidates[w] & ~sure[w];
    }
}

/* The last interval that begins at or before the address; index 0 begins at the first. */
static uint32_t set_of_v4(const l7s_image_t *image, const uint8_t *bytes)
{
    const l7s_interval4_t *intervals = l7s_image_section(image, L7S_SECTION_INTERVALS4);
    uint32_t count = image->sections[L7S_SECTION_INTERVALS4].count;
    uint32_t addr = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                    (uint32_t)bytes[2] << 8 | bytes[3];

    while (count > 1) {
        uint32_t half = count / 2;
        bool behind = intervals[half].first <= addr;
        intervals += behind ? half : 0;
        count = behind ? count - half : half;
    }
    return intervals->set;
}

static uint64_t load_be64(const uint8_t *bytes)
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static uint32_t set_of_v6(const l7s_image_t *image, const uint8_t *bytes)
{
    const l7s_interval6_t *intervals = l7s_image_section(image, L7S_SECTION_INTERVALS6);
    uint32_t count = image->sections[L7S_SECTION_INTERVALS6].count;
    uint64_t hi = load_be64(bytes), lo = load_be64(bytes + 8);

    while (count > 1) {
        uint32_t half = count / 2;
        const l7s_interval6_t *middle = &intervals[half];
        bool behind = middle->hi < hi || (middle->hi == hi && middle->lo <= lo);
        intervals += behind ? half : 0;
        count = behind ? count - half : half;
    }
    return intervals->set;
}

static void narrow_by_client(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    const l7s_addr_t *client = &matcher->request->client;

    if (image->client_indexed) {
        intersect(matcher->candidates, image,
                  set_at(image, l7s_addr_is_v4(client)
                                    ? set_of_v4(image, client->bytes + 12)
                                    : set_of_v6(image, client->bytes)));
    }
}

/* --- apps --- */

static const l7s_image_app_t *app_at(const l7s_image_t *image, uint32_t index)
{
    return (const l7s_image_app_t *)l7s_image_section(image, L7S_SECTION_APPS) + index;
}

/* The first declared app among the candidates: they stand behind the policies. */
static uint32_t mapped_app(const l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    uint32_t first = l7s_image_policies(image);

    for (uint32_t i = 0; i < image->declared_apps; i++) {
        uint32_t bit = first + i;
        uint64_t rest = matcher->candidates[bit / 64] >> bit % 64;
        if (rest == 0) {
            i += 63 - bit % 64; /* none in the rest of this word */
            continue;
        }
        i += (uint32_t)__builtin_ctzll(rest);
        if (i >= image->declared_apps) {
            break;
        }
        if (!has_bit(matcher->unsure, first + i) ||
            l7s_matcher_any_path(matcher, app_at(image, i)->paths)) {
            return i;
        }
    }
    return L7S_NONE;
}

/* A directive beats the mapping; what it names need not be declared. */
static __attribute__((noinline)) void find_app(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;

    matcher->app_index =
        matcher->request->app != NULL
            ? l7s_names_index(image, &image->app_names, matcher->request->app)
            : mapped_app(matcher);
    if (matcher->app_index == L7S_NONE) {
        intersect(matcher->candidates, image, set_at(image, image->any_app));
        return;
    }
    const l7s_image_app_t *app = app_at(image, matcher->app_index);
    matcher->app = l7s_image_text(image, app->name);
    matcher->app_mode = app->mode;
    intersect(matcher->candidates, image, set_at(image, app->set));
}

static void narrow_by_app(l7s_matcher_t *matcher)
{
    if (matcher->image->needs_app) {
        find_app(matcher);
    }
}

/* --- headers --- */

/* The header that is being tested. */
typedef struct {
    uint32_t header; /* its index, or L7S_NONE */
    const char *value;
    bool paired;        /* `pairs` has been filled for this value */
    uint8_t pairs[256]; /* 1 where a pair of its neighbouring bytes has its place */
} tested_t;

static void note_pairs(tested_t *tested)
{
    const char *at = tested->value;

    memset(tested->pairs, 0, sizeof tested->pairs);
    if (*at != '\0') {
        for (; at[1] != '\0'; at++) {
            tested->pairs[l7s_pair_place(at)] = 1;
        }
    }
    tested->paired = true;
}

static bool has_pairs(const tested_t *tested, const l7s_condition_t *condition)
{
    const uint8_t *places = condition->pairs;

    return (tested->pairs[places[0]] & tested->pairs[places[1]] &
            tested->pairs[places[2]] & tested->pairs[places[3]]) != 0;
}

static bool holds(l7s_matcher_t *matcher, tested_t *tested,
                  const l7s_condition_t *condition)
{
    if (condition->header != tested->header) {
        tested->header = condition->header;
        tested->value = l7s_matcher_header(matcher, condition->header);
        tested->paired = false;
    }
    if (condition->paired && tested->value != NULL) {
        if (!tested->paired) {
            note_pairs(tested);
        }
        if (!has_pairs(tested, condition)) {
            return false;
        }
    }
    return l7s_matcher_holds(matcher, condition, tested->value);
}

/* A header is asked for only while a policy is a candidate that requires it. Tests of one
 * header, and within these of one condition, stand together. */
static void narrow_by_headers(l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    const l7s_condition_t *conditions = l7s_image_section(image, L7S_SECTION_CONDITIONS);
    const l7s_test_t *test = l7s_image_section(image, L7S_SECTION_TESTS);
    const l7s_test_t *end = test + image->sections[L7S_SECTION_TESTS].count;
    uint32_t condition = L7S_NONE; /* the one of which `held` tells */
    bool held = false;
    tested_t tested;

    tested.header = L7S_NONE;
    for (; test < end; test++) {
        if ((matcher->candidates[test->word] & test->policies) == 0) {
            continue;
        }
        if (test->condition != condition) {
            condition = test->condition;
            held = holds(matcher, &tested, &conditions[condition]);
        }
        if (!held) {
            matcher->candidates[test->word] &= ~test->policies;
        }
    }
}

/* --- what a connection's requests have in common --- */

static bool is_same(const l7s_memo_t *memo, const l7s_request_t *request,
                    const char *value)
{
    return memo->has_index && strcmp(memo->host, request->host) == 0 &&
           memo->has_value == (value != NULL) &&
           (value == NULL || strcmp(memo->value, value) == 0);
}

static bool note_facts(l7s_memo_t *memo, const l7s_request_t *request, const char *value)
{
    size_t host = strlen(request->host), length = value == NULL ? 0 : strlen(value);

    if (host >= sizeof memo->host || length >= sizeof memo->value) {
        return false;
    }
    memo->has_value = value != NULL;
    memcpy(memo->host, request->host, host + 1);
    memcpy(memo->value, value == NULL ? "" : value, length + 1);
    return true;
}

/* The bits of a set's word that stand for policies, not for apps. */
static uint64_t policy_bits(const l7s_image_t *image, uint32_t word)
{
    uint32_t policies = l7s_image_policies(image);

    return policies <= word * 64 ? 0 : l7s_set_below(policies - word * 64);
}

/* Apps are found by host and path, so neither client nor header takes one away. */
static __attribute__((noinline)) void learn(l7s_matcher_t *matcher, l7s_memo_t *memo)
{
    const l7s_image_t *image = matcher->image;
    uint64_t kept[L7S_WORDS_MAX];

    memcpy(kept, matcher->candidates, image->words * sizeof *kept);
    memset(matcher->candidates, 0xff, image->words * sizeof *kept);
    narrow_by_host(matcher);
    memcpy(memo->set, matcher->candidates, image->words * sizeof *kept);
    narrow_by_client(matcher);
    narrow_by_headers(matcher);
    for (uint32_t w = 0; w < image->words; w++) {
        memo->set[w] &= matcher->candidates[w] | ~policy_bits(image, w);
    }
    memcpy(matcher->candidates, kept, image->words * sizeof *kept);
    memo->has_index = true;
}

/* True: the memo tells about this request. It learns at a connection's second request:
 * the first one is often the only one, and asks less. */
static bool recall(l7s_matcher_t *matcher, l7s_memo_t *memo)
{
    const l7s_request_t *request = matcher->request;
    const char *value = NULL;

    if (memo->generation != request->generation) {
        memo->generation = request->generation;
        memo->has_index = false;
        return false;
    }
    if (matcher->image->tested_headers > 1) {
        return false;
    }
    if (matcher->image->tested_header != L7S_NONE) {
        value = l7s_matcher_header(matcher, matcher->image->tested_header);
    }
    if (!is_same(memo, request, value)) {
        memo->has_index = false;
        if (!note_facts(memo, request, value)) {
            return false;
        }
        learn(matcher, memo);
    }
    return true;
}

static __attribute__((noinline)) void narrow_by_all(l7s_matcher_t *matcher)
{
    narrow_by_host(matcher);
    narrow_by_path(matcher);
    narrow_by_app(matcher);
    narrow_by_client(matcher);
    narrow_by_headers(matcher);
}

void l7s_matcher_index(l7s_matcher_t *matcher)
{
    l7s_memo_t *memo = matcher->request->memo;

    narrow_by_method(matcher);
    if (memo != NULL && matcher->request->generation != 0 && recall(matcher, memo)) {
        intersect(matcher->candidates, matcher->image, memo->set);
        narrow_by_path(matcher);
        narrow_by_app(matcher);
    } else {
        narrow_by_all(matcher);
    }
}
