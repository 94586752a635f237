/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts to chunks and back, over a store that loses, changes and lies.
 */
#include "../../core/bus/manifest.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const l7s_chunk_t *chunks;
    size_t count;
    const char *missing;   /* hash of a chunk that is not there */
    const char *changed;   /* of one with a flipped byte */
    const char *stretched; /* of one that comes with a byte more */
} store_t;

static void *fetch(void *context, const char *hash, size_t *size)
{
    const store_t *store = context;
    for (size_t i = 0; i < store->count; i++) {
        const l7s_chunk_t *chunk = &store->chunks[i];
        if (strcmp(chunk->hash, hash) != 0 ||
            (store->missing && strcmp(hash, store->missing) == 0)) {
            continue;
        }
        char *copy = calloc(1, chunk->size + 1);
        memcpy(copy, chunk->data, chunk->size);
        *size = chunk->size;
        if (store->changed && strcmp(hash, store->changed) == 0) {
            copy[chunk->size / 2] ^= 1;
        }
        if (store->stretched && strcmp(hash, store->stretched) == 0) {
            (*size)++;
        }
        return copy;
    }
    return NULL;
}

/* Text that does not compress, so that it needs several chunks. */
static char *noise(size_t size)
{
    char *text = malloc(size + 1);
    uint64_t random = 7;
    for (size_t i = 0; i < size; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        text[i] = (char)(1 + (random >> 33) % 255);
    }
    text[size] = '\0';
    return text;
}

static void test_manifest_part_returns_what_was_added(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5000, 1000000};
    json_t *parts = json_array();
    l7s_chunk_t *chunks = NULL;
    size_t count = 0;
    char *text = noise(1000000);
    for (size_t i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "list/%zu", i);
        assert_int_equal(l7s_manifest_add(parts, name, text, sizes[i], &chunks, &count),
                         L7S_OK);
    }
    assert_int_equal(json_array_size(parts), 4);
    assert_true(count >= 3 + 1000000 / L7S_CHUNK_SIZE);
    store_t store = {.chunks = chunks, .count = count};
    for (size_t i = 0; i < 4; i++) {
        char *back = NULL;
        size_t size = 0;
        assert_int_equal(
            l7s_manifest_part(json_array_get(parts, i), fetch, &store, &back, &size),
            L7S_OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(back, text, size);
        assert_int_equal(back[size], '\0');
        free(back);
    }
    for (size_t i = 0; i < count; i++) {
        assert_in_range(chunks[i].size, 1, L7S_CHUNK_SIZE);
    }
    free(text);
    l7s_chunks_free(chunks, count);
    l7s_chunks_free(NULL, 0);
    json_decref(parts);
}

static void test_manifest_add_same_text_gives_same_chunks(void **state)
{
    (void)state;
    json_t *parts = json_array();
    l7s_chunk_t *chunks = NULL;
    size_t count = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            l7s_manifest_add(parts, "bans", "{\"bans\":[]}", 11, &chunks, &count),
            L7S_OK);
    }
    assert_true(json_equal(json_array_get(parts, 0), json_array_get(parts, 1)));
    assert_string_equal(chunks[0].hash, chunks[1].hash);
    l7s_chunks_free(chunks, count);
    json_decref(parts);
}

static void test_manifest_add_too_big_adds_nothing(void **state)
{
    (void)state;
    json_t *parts = json_array();
    l7s_chunk_t *chunks = NULL;
    size_t count = 0;
    assert_int_equal(
        l7s_manifest_add(parts, "x", "", L7S_SNAPSHOT_MAX + 1, &chunks, &count),
        L7S_TOO_BIG);
    assert_int_equal(count, 0);
    assert_int_equal(json_array_size(parts), 0);
    json_decref(parts);
}

static void test_manifest_part_bad_stores_are_told_apart(void **state)
{
    (void)state;
    json_t *parts = json_array();
    l7s_chunk_t *chunks = NULL;
    size_t count = 0, size = 0;
    char *text = noise(500000), *back = NULL;
    assert_int_equal(l7s_manifest_add(parts, "x", text, 500000, &chunks, &count), L7S_OK);
    free(text);
    assert_true(count >= 3);
    json_t *part = json_array_get(parts, 0);
    store_t missing = {chunks, count, chunks[1].hash, NULL, NULL};
    assert_int_equal(l7s_manifest_part(part, fetch, &missing, &back, &size),
                     L7S_NOT_FOUND);
    store_t changed = {chunks, count, NULL, chunks[1].hash, NULL};
    assert_int_equal(l7s_manifest_part(part, fetch, &changed, &back, &size),
                     L7S_UNTRUSTED);
    store_t stretched = {chunks, count, NULL, NULL, chunks[count - 1].hash};
    assert_int_equal(l7s_manifest_part(part, fetch, &stretched, &back, &size),
                     L7S_UNTRUSTED);

    store_t good = {chunks, count, NULL, NULL, NULL};
    static const json_int_t lies[] = {0, 1, 499999, 500001, 600000};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        json_object_set_new(part, "size", json_integer(lies[i]));
        assert_int_equal(l7s_manifest_part(part, fetch, &good, &back, &size),
                         L7S_INVALID);
    }
    json_object_set_new(part, "size", json_integer(500000));
    json_t *hashes = json_object_get(part, "chunks");
    json_array_append(hashes, json_array_get(hashes, 0)); /* bytes behind the end */
    assert_int_equal(l7s_manifest_part(part, fetch, &good, &back, &size), L7S_INVALID);
    json_array_remove(hashes, count);
    json_array_remove(hashes, count - 1); /* and an end that does not come */
    assert_int_equal(l7s_manifest_part(part, fetch, &good, &back, &size), L7S_INVALID);
    assert_null(back);
    l7s_chunks_free(chunks, count);
    json_decref(parts);
}

static void test_manifest_part_bomb_is_bounded_by_the_promise(void **state)
{
    (void)state;
    enum { ZEROS = 8 << 20 };
    json_t *parts = json_array();
    l7s_chunk_t *chunks = NULL;
    size_t count = 0, size = 0;
    char *zeros = calloc(1, ZEROS), *back = NULL;
    assert_int_equal(l7s_manifest_add(parts, "x", zeros, ZEROS, &chunks, &count), L7S_OK);
    free(zeros);
    assert_int_equal(count, 1);
    store_t store = {chunks, count, NULL, NULL, NULL};
    json_object_set_new(json_array_get(parts, 0), "size", json_integer(100));
    assert_int_equal(
        l7s_manifest_part(json_array_get(parts, 0), fetch, &store, &back, &size),
        L7S_INVALID);
    l7s_chunks_free(chunks, count);
    json_decref(parts);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PART(name) "{\"name\":\"" name "\",\"size\":3,\"chunks\":[\"" HASH "\"]}"
#define MANIFEST(members, parts)                                                         \
    "{" members                                                                          \
    ",\"secret_id\":\"k1\",\"bans_generation\":0,\"ban_log\":1,\"parts\":[" parts "]}"
#define NUMBERS "\"config_epoch\":1,\"revision\":41"

static void test_manifest_check_takes_sane_members_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        l7s_status_t status;
    } cases[] = {
        {MANIFEST(NUMBERS, ""), L7S_OK},
        {MANIFEST(NUMBERS ",\"published_ms\":7", PART("policies") "," PART("bans")),
         L7S_OK},
        {MANIFEST(NUMBERS, PART("bans") "," PART("bans")), L7S_INVALID},
        {MANIFEST(NUMBERS, PART("")), L7S_INVALID},
        {MANIFEST("\"config_epoch\":1", ""), L7S_INVALID},
        {MANIFEST("\"config_epoch\":-1,\"revision\":41", ""), L7S_INVALID},
        {MANIFEST("\"config_epoch\":1,\"revision\":\"41\"", ""), L7S_INVALID},
        {MANIFEST(NUMBERS, "7"), L7S_INVALID},
        {MANIFEST(NUMBERS, "{\"name\":\"x\",\"size\":3,\"chunks\":[]}"), L7S_INVALID},
        {MANIFEST(NUMBERS, "{\"name\":\"x\",\"size\":3,\"chunks\":[\"../\"]}"),
         L7S_INVALID},
        {MANIFEST(NUMBERS, "{\"name\":\"x\",\"size\":-3,\"chunks\":[\"" HASH "\"]}"),
         L7S_INVALID},
        {MANIFEST(NUMBERS,
                  "{\"name\":\"x\",\"size\":99999999,\"chunks\":[\"" HASH "\"]}"),
         L7S_INVALID},
        {MANIFEST(NUMBERS,
                  "{\"name\":\"x\",\"size\":3,\"chunks\":[\"" HASH "\",\"" HASH "\"]}"),
         L7S_INVALID},
        {"{" NUMBERS
         ",\"secret_id\":\"\",\"bans_generation\":0,\"ban_log\":1,\"parts\":[]}",
         L7S_INVALID},
        {"{" NUMBERS ",\"secret_id\":\"k1\",\"bans_generation\":0,\"ban_log\":1}",
         L7S_INVALID},
        {"[]", L7S_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *manifest = json_loads(cases[i].text, 0, NULL);
        assert_non_null(manifest);
        assert_int_equal(l7s_manifest_check(manifest), cases[i].status);
        json_decref(manifest);
    }
    assert_int_equal(l7s_manifest_check(NULL), L7S_INVALID);
}

static void test_revision_compare_epoch_beats_number(void **state)
{
    (void)state;
    assert_int_equal(l7s_revision_compare(1, 5, 1, 5), 0);
    assert_int_equal(l7s_revision_compare(1, 5, 1, 6), -1);
    assert_int_equal(l7s_revision_compare(1, 6, 1, 5), 1);
    assert_int_equal(l7s_revision_compare(2, 1, 1, UINT64_MAX), 1);
    assert_int_equal(l7s_revision_compare(1, UINT64_MAX, 2, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest_part_returns_what_was_added),
        cmocka_unit_test(test_manifest_add_same_text_gives_same_chunks),
        cmocka_unit_test(test_manifest_add_too_big_adds_nothing),
        cmocka_unit_test(test_manifest_part_bad_stores_are_told_apart),
        cmocka_unit_test(test_manifest_part_bomb_is_bounded_by_the_promise),
        cmocka_unit_test(test_manifest_check_takes_sane_members_only),
        cmocka_unit_test(test_revision_compare_epoch_beats_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
