/* SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes: what comes back, and everything that must not: changed, moved, replayed,
 * sealed by the wrong party or under an unknown secret.
 */
#include "../../core/bus/item.h"
#include "../../core/mode.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1700000000000ULL

/* A daemon, a node of its fleet, and a stranger with keys of its own. */
typedef struct {
    l7s_trust_t *daemon, *node, *stranger;
} parties_t;

static void make_fleet(const char *folder, l7s_trust_t **daemon, l7s_trust_t **node)
{
    char secret[64], trust[64], signing[64];
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(trust, sizeof trust, "%s/trust", folder);
    snprintf(signing, sizeof signing, "%s/signing", folder);
    assert_int_equal(l7s_trust_create(secret, trust, signing, NULL), L7S_OK);
    assert_int_equal(l7s_trust_load(secret, NULL, signing, NULL, daemon), L7S_OK);
    if (node) {
        assert_int_equal(l7s_trust_load(secret, trust, NULL, NULL, node), L7S_OK);
    }
    unlink(secret);
    unlink(trust);
    unlink(signing);
}

static int set_up(void **state)
{
    static parties_t parties;
    char folder[] = "/tmp/l7s_item_XXXXXX";
    if (!mkdtemp(folder)) {
        return -1;
    }
    make_fleet(folder, &parties.daemon, &parties.node);
    make_fleet(folder, &parties.stranger, NULL);
    rmdir(folder);
    *state = &parties;
    return 0;
}

static int tear_down(void **state)
{
    parties_t *parties = *state;
    l7s_trust_free(parties->daemon);
    l7s_trust_free(parties->node);
    l7s_trust_free(parties->stranger);
    return 0;
}

static void test_item_name_differs_in_every_part(void **state)
{
    (void)state;
    static const struct {
        uint64_t key;
        const char *epoch;
        l7s_item_kind_t kind;
        const char *detail;
        uint64_t index;
    } cases[] = {
        {1, "", L7S_ITEM_HEAD, "", 0},
        {2, "", L7S_ITEM_HEAD, "", 0},
        {1, "", L7S_ITEM_MODE, "", 0},
        {1, "e", L7S_ITEM_HEAD, "", 0},
        {1, "ab", L7S_ITEM_INCIDENT, "c", 1},
        {1, "a", L7S_ITEM_INCIDENT, "bc", 1},
        {1, "ab", L7S_ITEM_INCIDENT, "c", 2},
        {1, "ab", L7S_ITEM_INCIDENT, "c", 1ULL << 40},
        {1, "ab", L7S_ITEM_INCIDENT, "", 1},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    char names[COUNT][L7S_ITEM_NAME_MAX];
    for (size_t i = 0; i < COUNT; i++) {
        l7s_hashkey_t key = {cases[i].key, 0};
        char again[L7S_ITEM_NAME_MAX];
        l7s_item_name(&key, cases[i].epoch, cases[i].kind, cases[i].detail,
                      cases[i].index, names[i]);
        l7s_item_name(&key, cases[i].epoch, cases[i].kind, cases[i].detail,
                      cases[i].index, again);
        assert_string_equal(names[i], again);
        assert_int_equal(strlen(names[i]), 26);
        assert_memory_equal(names[i], "l7s1", 4);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(names[i], names[j]);
        }
    }
    char longest[1000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    l7s_item_name(&(l7s_hashkey_t){1, 1}, longest, L7S_ITEM_CHUNK, longest, 1, names[0]);
    assert_int_equal(strlen(names[0]), 26);
}

static void test_item_seal_opens_by_kind_and_party(void **state)
{
    parties_t *parties = *state;
    static const struct {
        l7s_item_kind_t kind;
        bool as_daemon;
        l7s_status_t by_daemon, by_node; /* who can seal it */
        bool signature;
    } cases[] = {
        {L7S_ITEM_HEAD, true, L7S_OK, L7S_UNTRUSTED, true},
        {L7S_ITEM_MODE, false, L7S_OK, L7S_UNTRUSTED, true},
        {L7S_ITEM_MANIFEST, true, L7S_OK, L7S_UNTRUSTED, true},
        {L7S_ITEM_ACK, true, L7S_OK, L7S_UNTRUSTED, true},
        {L7S_ITEM_BAN, true, L7S_OK, L7S_UNTRUSTED, true},
        {L7S_ITEM_BAN, false, L7S_OK, L7S_OK, false},
        {L7S_ITEM_SEAT, false, L7S_OK, L7S_OK, false},
        {L7S_ITEM_SEAT, true, L7S_OK, L7S_OK, false},
        {L7S_ITEM_INCIDENT, false, L7S_OK, L7S_OK, false},
        {L7S_ITEM_NEWS, false, L7S_OK, L7S_OK, false},
        {L7S_ITEM_CHUNK, true, L7S_INVALID, L7S_INVALID, false},
        {(l7s_item_kind_t)77, true, L7S_INVALID, L7S_INVALID, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *item = NULL;
        size_t size = 0;
        assert_int_equal(l7s_item_seal(parties->node, cases[i].kind, "name", "web1",
                                       cases[i].as_daemon, "{}", 2, NOW, &item, &size),
                         cases[i].by_node);
        free(item);
        assert_int_equal(l7s_item_seal(parties->daemon, cases[i].kind, "name",
                                       "l7shieldd", cases[i].as_daemon, "{}", 2, NOW,
                                       &item, &size),
                         cases[i].by_daemon);
        if (cases[i].by_daemon != L7S_OK) {
            assert_null(item);
            continue;
        }
        assert_int_equal(size, 116 + 2 + (cases[i].signature ? 64 : 32));
        l7s_item_t open;
        assert_int_equal(
            l7s_item_open(parties->node, cases[i].kind, "name", item, size, NOW, &open),
            L7S_OK);
        assert_int_equal(open.by_daemon, cases[i].signature);
        assert_int_equal(open.sealed_at_ms, NOW);
        assert_string_equal(open.sender, "l7shieldd");
        assert_int_equal(open.size, 2);
        assert_memory_equal(open.payload, "{}", 2);
        /* Another kind, another name, another fleet. */
        l7s_item_kind_t other =
            cases[i].kind == L7S_ITEM_BAN ? L7S_ITEM_SEAT : L7S_ITEM_BAN;
        assert_int_equal(
            l7s_item_open(parties->node, other, "name", item, size, NOW, &open),
            L7S_INVALID);
        assert_int_equal(
            l7s_item_open(parties->node, cases[i].kind, "name2", item, size, NOW, &open),
            L7S_UNTRUSTED);
        assert_int_equal(l7s_item_open(parties->stranger, cases[i].kind, "name", item,
                                       size, NOW, &open),
                         L7S_UNTRUSTED);
        free(item);
    }
}

static void test_item_open_any_changed_byte_is_refused(void **state)
{
    parties_t *parties = *state;
    for (int as_daemon = 0; as_daemon < 2; as_daemon++) {
        uint8_t *item = NULL;
        size_t size = 0;
        l7s_item_t open;
        assert_int_equal(l7s_item_seal(parties->daemon, L7S_ITEM_BAN, "name", "web1",
                                       as_daemon, "payload", 7, NOW, (void **)&item,
                                       &size),
                         L7S_OK);
        for (size_t i = 0; i < size; i++) {
            item[i] ^= 0x20;
            l7s_status_t status = l7s_item_open(parties->node, L7S_ITEM_BAN, "name", item,
                                                size, NOW, &open);
            assert_true(status == L7S_INVALID || status == L7S_UNTRUSTED);
            assert_null(open.payload);
            item[i] ^= 0x20;
        }
        for (size_t shorter = 0; shorter < size; shorter++) {
            uint8_t *cut = malloc(shorter > 0 ? shorter : 1);
            memcpy(cut, item, shorter);
            assert_int_equal(l7s_item_open(parties->node, L7S_ITEM_BAN, "name", cut,
                                           shorter, NOW, &open),
                             L7S_INVALID);
            free(cut);
        }
        free(item);
    }
}

static void test_item_open_daemon_kind_under_hmac_is_untrusted(void **state)
{
    parties_t *parties = *state;
    /* A node cannot seal a manifest; the nearest it gets is a ban relabelled. */
    uint8_t *item = NULL;
    size_t size = 0;
    l7s_item_t open;
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_BAN, "name", "web1", false,
                                   "{}", 2, NOW, (void **)&item, &size),
                     L7S_OK);
    item[4] = L7S_ITEM_MANIFEST;
    assert_int_equal(
        l7s_item_open(parties->node, L7S_ITEM_MANIFEST, "name", item, size, NOW, &open),
        L7S_UNTRUSTED);
    free(item);
}

static void test_item_open_outside_skew_is_stale_unless_ordered(void **state)
{
    parties_t *parties = *state;
    static const struct {
        l7s_item_kind_t kind;
        int64_t offset_ms;
        l7s_status_t status;
    } cases[] = {
        {L7S_ITEM_SEAT, -30000, L7S_OK},    {L7S_ITEM_SEAT, 30000, L7S_OK},
        {L7S_ITEM_SEAT, -30001, L7S_STALE}, {L7S_ITEM_SEAT, 30001, L7S_STALE},
        {L7S_ITEM_BAN, 30001, L7S_STALE},   {L7S_ITEM_INCIDENT, 30001, L7S_STALE},
        {L7S_ITEM_ACK, -30001, L7S_STALE},  {L7S_ITEM_HEAD, 86400000, L7S_OK},
        {L7S_ITEM_MODE, -86400000, L7S_OK}, {L7S_ITEM_MANIFEST, 86400000, L7S_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *item = NULL;
        size_t size = 0;
        l7s_item_t open;
        assert_int_equal(l7s_item_seal(parties->daemon, cases[i].kind, "n", "s", true,
                                       "x", 1, NOW, &item, &size),
                         L7S_OK);
        assert_int_equal(l7s_item_open(parties->node, cases[i].kind, "n", item, size,
                                       NOW + (uint64_t)cases[i].offset_ms, &open),
                         cases[i].status);
        assert_memory_equal(open.payload, "x",
                            1); /* a stale one may be taken knowingly */
        free(item);
    }
}

static void test_item_seal_too_much_is_refused(void **state)
{
    parties_t *parties = *state;
    char *payload = calloc(1, L7S_ITEM_SIZE_MAX);
    void *item = NULL;
    size_t size = 0;
    char name[100], sender[100];
    memset(name, 'n', sizeof name);
    memset(sender, 's', sizeof sender);
    name[L7S_ITEM_NAME_MAX] = '\0';
    sender[64] = '\0';
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_SEAT, "n", "s", false, payload,
                                   L7S_ITEM_SIZE_MAX - 116 - 31, NOW, &item, &size),
                     L7S_TOO_BIG);
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_SEAT, name, "s", false, "", 0,
                                   NOW, &item, &size),
                     L7S_INVALID);
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_SEAT, "n", sender, false, "",
                                   0, NOW, &item, &size),
                     L7S_INVALID);
    assert_null(item);
    name[L7S_ITEM_NAME_MAX - 1] = '\0';
    sender[63] = '\0';
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_SEAT, name, sender, false,
                                   payload, L7S_ITEM_SIZE_MAX - 116 - 32, NOW, &item,
                                   &size),
                     L7S_OK);
    assert_int_equal(size, L7S_ITEM_SIZE_MAX);
    l7s_item_t open;
    assert_int_equal(
        l7s_item_open(parties->daemon, L7S_ITEM_SEAT, name, item, size, NOW, &open),
        L7S_OK);
    assert_string_equal(open.sender, sender);
    free(item);
    free(payload);
}

static void test_item_extent_finds_one_behind_the_other(void **state)
{
    parties_t *parties = *state;
    void *first = NULL, *second = NULL;
    size_t first_size = 0, second_size = 0;
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_NEWS, "name", "web1", false,
                                   "12345", 5, NOW, &first, &first_size),
                     L7S_OK);
    assert_int_equal(l7s_item_seal(parties->node, L7S_ITEM_NEWS, "name", "web2", false,
                                   "", 0, NOW, &second, &second_size),
                     L7S_OK);
    char both[512];
    memcpy(both, first, first_size);
    memcpy(both + first_size, second, second_size);
    assert_int_equal(l7s_item_extent(both, first_size + second_size), first_size);
    assert_int_equal(l7s_item_extent(both + first_size, second_size), second_size);
    assert_int_equal(l7s_item_extent(both, first_size - 1), 0);
    assert_int_equal(l7s_item_extent(both, 115), 0);
    assert_int_equal(l7s_item_extent(both, 0), 0);
    assert_int_equal(l7s_item_extent(both + 1, first_size + second_size - 1), 0);
    memset(both + 16, 0xff, 4); /* its size */
    assert_int_equal(l7s_item_extent(both, first_size + second_size), 0);
    free(first);
    free(second);
}

static void test_mode_item_is_read_back_and_strict(void **state)
{
    (void)state;
    char text[96];
    l7s_mode_item_t item = {L7S_MODE_OBSERVE, 3, 41, 1700000000000ULL}, back;
    size_t size = l7s_mode_item_write(&item, text, sizeof text);
    assert_string_equal(text, "observe 3 41 1700000000000\n");
    assert_int_equal(size, strlen(text));
    assert_true(l7s_mode_item_read(text, size, &back));
    assert_int_equal(back.mode, L7S_MODE_OBSERVE);
    assert_int_equal(back.config_epoch, 3);
    assert_int_equal(back.number, 41);
    assert_int_equal(back.until_ms, 1700000000000ULL);
    assert_int_equal(l7s_mode_item_write(&item, text, 27), 0);

    static const char *const bad[] = {"",
                                      "observe",
                                      "observe 1 2 3",
                                      "observe 1 2 3\n\n",
                                      "observe 1 2 3\nx",
                                      "on 1 2 3\n",
                                      "observe  1 2 3\n",
                                      "observe 1 2\n",
                                      "observe 1 2 -3\n",
                                      "observe 1 2 3 \n",
                                      " observe 1 2 3\n",
                                      "observe 1 2 18446744073709551616\n",
                                      "observe 0x1 2 3\n",
                                      "Observe 1 2 3\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(l7s_mode_item_read(bad[i], strlen(bad[i]), &back));
    }
    assert_false(l7s_mode_item_read("off 1 2 3\n\0", 11, &back));
    assert_true(l7s_mode_item_read("off 0 18446744073709551615 0\n", 29, &back));
    assert_int_equal(back.number, UINT64_MAX);
    assert_int_equal(back.mode, L7S_MODE_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_item_name_differs_in_every_part),
        cmocka_unit_test(test_item_seal_opens_by_kind_and_party),
        cmocka_unit_test(test_item_open_any_changed_byte_is_refused),
        cmocka_unit_test(test_item_open_daemon_kind_under_hmac_is_untrusted),
        cmocka_unit_test(test_item_open_outside_skew_is_stale_unless_ordered),
        cmocka_unit_test(test_item_seal_too_much_is_refused),
        cmocka_unit_test(test_item_extent_finds_one_behind_the_other),
        cmocka_unit_test(test_mode_item_is_read_back_and_strict),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
