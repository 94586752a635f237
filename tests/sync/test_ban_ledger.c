/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of bans beyond the table: found again, bounded, forgotten when it should.
 */
#include "../../mod_l7shield/sync/ban_ledger.h"
#include "unit.h"

static l7s_hash128_t digest(uint64_t n)
{
    return (l7s_hash128_t){n * 1024, n}; /* all fall into the same places */
}

static sync_ban_ledger_t *make(uint32_t bans)
{
    sync_ban_ledger_t *ledger = NULL;

    assert_int_equal(sync_ban_ledger_create(bans, &ledger), L7S_OK);
    return ledger;
}

static void test_ban_ledger_note_is_found_again_and_bounded(void **state)
{
    (void)state;
    sync_ban_ledger_t *ledger = make(8);

    assert_null(sync_ban_ledger_find(ledger, digest(1)));
    for (uint64_t n = 1; n <= 16; n++) {
        sync_ban_note_t *note = sync_ban_ledger_note(ledger, digest(n));
        assert_non_null(note);
        note->log_index = n;
    }
    assert_null(sync_ban_ledger_note(ledger, digest(17)));
    for (uint64_t n = 1; n <= 16; n++) {
        assert_int_equal(sync_ban_ledger_find(ledger, digest(n))->log_index, n);
        assert_ptr_equal(sync_ban_ledger_find(ledger, digest(n)),
                         sync_ban_ledger_note(ledger, digest(n)));
    }
    sync_ban_ledger_free(ledger);
}

static void test_ban_ledger_forget_keeps_marked_and_lately_lifted(void **state)
{
    (void)state;
    sync_ban_ledger_t *ledger = make(8);

    for (uint64_t n = 1; n <= 6; n++) {
        sync_ban_note_t *note = sync_ban_ledger_note(ledger, digest(n));
        note->marked = n % 2 == 0;
        note->lifted_ms = n == 5 ? 1000 : n == 3 ? 999 : 0;
    }
    sync_ban_ledger_forget(ledger, 1000);
    static const bool kept[] = {false, true, false, true, true, true};
    for (uint64_t n = 1; n <= 6; n++) {
        assert_int_equal(sync_ban_ledger_find(ledger, digest(n)) != NULL, kept[n - 1]);
    }
    sync_ban_ledger_clear_marks(ledger);
    sync_ban_ledger_forget(ledger, 1001);
    for (uint64_t n = 1; n <= 6; n++) {
        assert_null(sync_ban_ledger_find(ledger, digest(n)));
    }
    sync_ban_ledger_free(ledger);
}

static void test_ban_ledger_turn_voids_places_and_keeps_lifts(void **state)
{
    (void)state;
    sync_ban_ledger_t *ledger = make(8);
    sync_ban_note_t *note = sync_ban_ledger_note(ledger, digest(1));

    note->published = true;
    note->log_index = 7;
    note->lifted_ms = 5;
    sync_ban_ledger_turn(ledger);
    assert_false(note->published);
    assert_int_equal(note->log_index, 0);
    assert_int_equal(note->lifted_ms, 5);
    sync_ban_ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ban_ledger_note_is_found_again_and_bounded),
        cmocka_unit_test(test_ban_ledger_forget_keeps_marked_and_lately_lifted),
        cmocka_unit_test(test_ban_ledger_turn_voids_places_and_keeps_lifts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
