/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies about strict limits: whole ones, parts of one, and anything else.
 */
#include "../../mod_l7shield/sync/strict_reply.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

static void test_strict_reply_parse_takes_whole_replies_only(void **state)
{
    static const struct {
        const char *bytes;
        sync_strict_kind_t kind;
        size_t used;
        uint64_t tat, cas;
    } cases[] = {
        {"", SYNC_STRICT_MORE, 0, 0, 0},
        {"H", SYNC_STRICT_MORE, 0, 0, 0},
        {"HD\r\n", SYNC_STRICT_DONE, 4, 0, 0},
        {"HD\r\nEX\r\n", SYNC_STRICT_DONE, 4, 0, 0},
        {"EX\r\n", SYNC_STRICT_RACED, 4, 0, 0},
        {"NS\r\n", SYNC_STRICT_RACED, 4, 0, 0},
        {"NF\r\n", SYNC_STRICT_ABSENT, 4, 0, 0},
        {"EN\r\n", SYNC_STRICT_ABSENT, 4, 0, 0},
        {"MN\r\n", SYNC_STRICT_NOOP, 4, 0, 0},
        {"E", SYNC_STRICT_MORE, 0, 0, 0},
        {"EY\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"END\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"ERROR\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"SERVER_ERROR out of memory\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"V", SYNC_STRICT_MORE, 0, 0, 0},
        {"VA 3", SYNC_STRICT_MORE, 0, 0, 0},
        {"VA 3 c12\r\n123\r", SYNC_STRICT_MORE, 0, 0, 0},
        {"VA 3 c12\r\n123\r\n", SYNC_STRICT_VALUE, 15, 123, 12},
        {"VA 3 c12\r\n123\r\nHD\r\n", SYNC_STRICT_VALUE, 15, 123, 12},
        {"VA 20 c18446744073709551615\r\n18446744073709551615\r\n", SYNC_STRICT_VALUE, 51,
         UINT64_MAX, UINT64_MAX},
        {"VA 20 c1\r\n18446744073709551616\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 3 c12\r\n1234\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 4 c12\r\n123\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 0 c12\r\n\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 3 12\r\n123\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 3 t12\r\n123\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA 3 c12\r\n12x\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VA -3 c12\r\n123\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        {"VALUE k 0 3\r\n", SYNC_STRICT_BAD, 0, 0, 0},
        /* Longer than any reply: refused whole, as its first 64 bytes are. */
        {"VA 00000000000000000020 c18446744073709551615\r\n18446744073709551615\r\n",
         SYNC_STRICT_BAD, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* A copy of the exact size lets the sanitizer see a read too far. */
        size_t size = strlen(cases[i].bytes);
        char *exact = malloc(size > 0 ? size : 1);
        sync_strict_reply_t reply;
        memcpy(exact, cases[i].bytes, size);
        assert_int_equal(sync_strict_reply_parse(exact, size, &reply), cases[i].used);
        assert_int_equal(reply.kind, cases[i].kind);
        if (reply.kind == SYNC_STRICT_VALUE) {
            assert_int_equal(reply.tat, cases[i].tat);
            assert_int_equal(reply.cas, cases[i].cas);
        }
        free(exact);
    }
}

static void test_strict_reply_parse_random_bytes_stays_bounded(void **state)
{
    static const char alphabet[] = "VAENHDXSFM0123459\r\n -c";
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        char bytes[SYNC_STRICT_REPLY_MAX];
        sync_strict_reply_t reply;
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[i] = alphabet[(random >> 33) % (sizeof alphabet - 1)];
        }
        memcpy(bytes, "VA 20 c1", round % 4 * 3 % 9);
        size_t used = sync_strict_reply_parse(bytes, sizeof bytes, &reply);
        assert_int_not_equal(reply.kind, SYNC_STRICT_MORE); /* so many say it all */
        assert_true(used <= sizeof bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_reply_parse_takes_whole_replies_only),
        cmocka_unit_test(test_strict_reply_parse_random_bytes_stays_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
