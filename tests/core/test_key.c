/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of counters against key-vectors.json, which an independent implementation made:
 * every node and the daemon must name a counter alike, so a change here is a new version.
 */
#include "../../core/key.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"",       "client", "network", "path",
                                    "host",   "header", "global",  "app",
                                    "cookie", "asn",    "country"};

static json_t *vectors;
static l7s_hashkey_t count_key;

static uint64_t hex64(const char *hex)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        word |= strtoull(byte, NULL, 16) << (8 * i);
    }
    return word;
}

static l7s_hash128_t hex128(const json_t *object, const char *member)
{
    const char *hex = json_string_value(json_object_get(object, member));
    assert_int_equal(strlen(hex), 32);
    return (l7s_hash128_t){hex64(hex), hex64(hex + 16)};
}

static void assert_hash(l7s_hash128_t actual, l7s_hash128_t expected)
{
    assert_true(actual.lo == expected.lo);
    assert_true(actual.hi == expected.hi);
}

static int load(void **state)
{
    (void)state;
    json_error_t error;
    vectors = json_load_file(TEST_DATA "/key-vectors.json", 0, &error);
    if (vectors == NULL) {
        return -1;
    }
    l7s_hash128_t key = hex128(vectors, "count_key");
    count_key = (l7s_hashkey_t){key.lo, key.hi};
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static l7s_part_t kind_of(const json_t *part)
{
    const char *name = json_string_value(json_object_get(part, "part"));
    for (int kind = 1; kind < L7S_PART_MAX; kind++) {
        if (strcmp(name, kinds[kind]) == 0) {
            return (l7s_part_t)kind;
        }
    }
    fail_msg("unknown part %s", name);
    return L7S_PART_MAX;
}

static void add_part(l7s_key_t *key, const json_t *part)
{
    l7s_part_t kind = kind_of(part);
    const char *name = json_string_value(json_object_get(part, "name"));
    const char *value = json_string_value(json_object_get(part, "value"));
    if (kind == L7S_PART_CLIENT || kind == L7S_PART_NETWORK) {
        l7s_cidr_t network;
        assert_int_equal(l7s_cidr_parse(value, &network), L7S_OK);
        l7s_key_add_cidr(key, kind, &network);
        return;
    }
    if (kind == L7S_PART_GLOBAL) {
        l7s_key_add(key, kind, NULL, "", 0);
        return;
    }
    size_t once = value == NULL ? 0 : strlen(value);
    json_int_t times = json_integer_value(json_object_get(part, "repeat"));
    size_t size = once * (times > 0 ? (size_t)times : 1);
    char *repeated = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        repeated[i] = value[i % once];
    }
    l7s_key_add(key, kind, name, value == NULL ? NULL : repeated, size);
    free(repeated);
}

static void build(l7s_key_t *key, const json_t *tuple)
{
    size_t index;
    json_t *part;
    l7s_key_begin(key);
    json_array_foreach(json_object_get(tuple, "parts"), index, part)
    {
        add_part(key, part);
    }
}

static void test_key_digest_vectors_match(void **state)
{
    (void)state;
    size_t index;
    json_t *tuple;
    json_array_foreach(json_object_get(vectors, "tuples"), index, tuple)
    {
        l7s_key_t key;
        build(&key, tuple);
        assert_int_equal(key.size, json_integer_value(json_object_get(tuple, "size")));
        const char *hex = json_string_value(json_object_get(tuple, "encoding"));
        for (size_t i = 0; hex != NULL && i < key.size; i++) {
            char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
            assert_int_equal(key.bytes[i], strtoul(byte, NULL, 16));
        }
        l7s_hash128_t digest = l7s_key_digest(&count_key, &key);
        assert_hash(digest, hex128(tuple, "digest"));
        char text[L7S_HASH128_TEXT];
        l7s_hash128_text(digest, text);
        assert_string_equal(text, json_string_value(json_object_get(tuple, "text")));
    }
}

static void test_limit_identity_vectors_match(void **state)
{
    (void)state;
    size_t index;
    json_t *limit;
    json_array_foreach(json_object_get(vectors, "identities"), index, limit)
    {
        const char *policy = json_string_value(json_object_get(limit, "policy"));
        const char *spec = json_string_value(json_object_get(limit, "spec"));
        json_int_t place = json_integer_value(json_object_get(limit, "index"));
        assert_hash(l7s_limit_identity(&count_key, policy, spec, (unsigned)place),
                    hex128(limit, "identity"));
    }
}

static void test_counter_key_is_digest_xor_identity(void **state)
{
    (void)state;
    size_t index;
    json_t *counter;
    json_array_foreach(json_object_get(vectors, "counters"), index, counter)
    {
        size_t tuple = (size_t)json_integer_value(json_object_get(counter, "tuple"));
        size_t limit = (size_t)json_integer_value(json_object_get(counter, "identity"));
        const json_t *tuples = json_object_get(vectors, "tuples");
        const json_t *limits = json_object_get(vectors, "identities");
        l7s_hash128_t key =
            l7s_hash128_xor(hex128(json_array_get(tuples, tuple), "digest"),
                            hex128(json_array_get(limits, limit), "identity"));
        assert_hash(key, hex128(counter, "key"));
    }
}

static void test_key_digest_cidr_equals_tuple_of_one_part(void **state)
{
    (void)state;
    static const char *const networks[] = {"203.0.113.7", "203.0.113.0/24",
                                           "2001:db8::/32"};
    for (size_t i = 0; i < 3; i++) {
        for (int part = L7S_PART_CLIENT; part <= L7S_PART_NETWORK; part++) {
            l7s_cidr_t network;
            assert_int_equal(l7s_cidr_parse(networks[i], &network), L7S_OK);
            l7s_key_t key;
            l7s_key_begin(&key);
            l7s_key_add_cidr(&key, (l7s_part_t)part, &network);
            assert_hash(l7s_key_digest_cidr(&count_key, (l7s_part_t)part, &network),
                        l7s_key_digest(&count_key, &key));
        }
    }
}

/* Moving a byte from one part to its neighbour must not give the same encoding. */
static void test_key_add_parts_do_not_run_into_each_other(void **state)
{
    (void)state;
    l7s_key_t a, b;
    l7s_key_begin(&a);
    l7s_key_add(&a, L7S_PART_HOST, NULL, "ab", 2);
    l7s_key_add(&a, L7S_PART_APP, NULL, "c", 1);
    l7s_key_begin(&b);
    l7s_key_add(&b, L7S_PART_HOST, NULL, "a", 1);
    l7s_key_add(&b, L7S_PART_APP, NULL, "bc", 2);
    assert_false(a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0);
}

static void test_key_add_beyond_four_parts_is_ignored(void **state)
{
    (void)state;
    char value[2000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    l7s_key_t *key = malloc(sizeof *key);
    l7s_key_begin(key);
    for (int i = 0; i < 4; i++) {
        l7s_key_add(key, L7S_PART_PATH, NULL, value, sizeof value);
    }
    size_t full = key->size;
    for (int i = 0; i < 10; i++) {
        l7s_key_add(key, L7S_PART_HEADER, value, value, sizeof value);
        assert_true(key->size <= L7S_KEY_ENCODING_MAX);
    }
    assert_true(key->size >= full);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_digest_vectors_match),
        cmocka_unit_test(test_limit_identity_vectors_match),
        cmocka_unit_test(test_counter_key_is_digest_xor_identity),
        cmocka_unit_test(test_key_digest_cidr_equals_tuple_of_one_part),
        cmocka_unit_test(test_key_add_parts_do_not_run_into_each_other),
        cmocka_unit_test(test_key_add_beyond_four_parts_is_ignored),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
