/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit rows: order, filters, counts, retention.
 */
#include "../../admin_api/store/store_audit.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static const uint8_t client[16] = {0, 0, 0,    0,    0,   0, 0,   0,
                                   0, 0, 0xff, 0xff, 203, 0, 113, 7};

static int64_t put(admin_store_t *store, const char *outcome, uint64_t at_ms)
{
    int64_t seq = 0;
    admin_audit_t row = {.at_ms = at_ms,
                         .last_ms = at_ms,
                         .count = 1,
                         .outcome = outcome,
                         .code = strcmp(outcome, "done") == 0 ? "" : "forbidden",
                         .principal = "token:ci",
                         .token_id = "AbCdEfGh",
                         .session = "",
                         .client = client,
                         .method = "PUT",
                         .route = "/v1/policies/{name}",
                         .path = "/v1/policies/a",
                         .object = "a",
                         .reason = "why not",
                         .revision = 7};
    assert_int_equal(admin_store_begin(store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_audit_put(store, &row, &seq), L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_CONFIG_DB), L7S_OK);
    return seq;
}

typedef struct {
    size_t count;
    int64_t seqs[64];
    uint64_t total;
} seen_t;

static bool see(void *context, const admin_audit_t *row)
{
    seen_t *seen = context;
    seen->seqs[seen->count++] = row->seq;
    seen->total += row->count;
    return seen->count < 64;
}

static seen_t look(admin_store_t *store, const admin_audit_filter_t *filter)
{
    seen_t seen = {0};
    assert_int_equal(admin_audit_each(store, filter, see, &seen), L7S_OK);
    return seen;
}

static bool check_members(void *context, const admin_audit_t *row)
{
    *(bool *)context = true;
    assert_string_equal(row->principal, "token:ci");
    assert_string_equal(row->token_id, "AbCdEfGh");
    assert_string_equal(row->session, "");
    assert_memory_equal(row->client, client, 16);
    assert_string_equal(row->path, "/v1/policies/a");
    assert_string_equal(row->reason, "why not");
    assert_int_equal(row->revision, 7);
    return false;
}

static void test_audit_put_comes_back_as_it_was(void **state)
{
    stored_t *stored = *state;
    bool seen = false;
    put(stored->store, "done", 1000);
    admin_audit_filter_t all = {0};
    assert_int_equal(admin_audit_each(stored->store, &all, check_members, &seen), L7S_OK);
    assert_true(seen);
}

static void test_audit_put_with_seq_adds_to_the_row(void **state)
{
    stored_t *stored = *state;
    int64_t seq = put(stored->store, "refused", 1000);
    admin_audit_t more = {.seq = seq, .count = 41, .last_ms = 5000};
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_audit_put(stored->store, &more, NULL), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    admin_audit_filter_t late = {.rows = {.since_ms = 5000}},
                         later = {.rows = {.since_ms = 5001}};
    assert_int_equal(look(stored->store, &late).total, 42);
    assert_int_equal(look(stored->store, &later).count, 0);
}

static void test_audit_each_newest_first_and_filtered(void **state)
{
    stored_t *stored = *state;
    int64_t first = put(stored->store, "done", 1000);
    int64_t second = put(stored->store, "refused", 2000);
    admin_audit_filter_t all = {0};
    seen_t seen = look(stored->store, &all);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.seqs[0], second);
    assert_int_equal(seen.seqs[1], first);
    admin_audit_filter_t before = {.before_seq = second};
    assert_int_equal(look(stored->store, &before).seqs[0], first);
    admin_audit_filter_t refused = {
        .rows = {.term_count = 1, .terms = {{"outcome", 1, {"refused"}}}}};
    assert_int_equal(look(stored->store, &refused).count, 1);
    admin_audit_filter_t window = {.rows = {.since_ms = 1000, .until_ms = 2000}};
    assert_int_equal(look(stored->store, &window).seqs[0], first);
    l7s_cidr_t network;
    assert_int_equal(l7s_cidr_parse("198.51.100.0/24", &network), L7S_OK);
    admin_audit_filter_t elsewhere = {.rows = {.has_client = true, .client = network}};
    assert_int_equal(look(stored->store, &elsewhere).count, 0);
    admin_audit_filter_t wrong = {
        .rows = {.term_count = 1, .terms = {{"reason", 1, {"x"}}}}};
    assert_int_equal(admin_audit_each(stored->store, &wrong, see, &seen), L7S_INVALID);
}

static size_t prune(admin_store_t *store, uint64_t before_ms, uint64_t done,
                    uint64_t refused)
{
    size_t deleted = 0;
    assert_int_equal(admin_store_begin(store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_audit_prune(store, before_ms, done, refused, &deleted),
                     L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_CONFIG_DB), L7S_OK);
    return deleted;
}

static void test_audit_prune_refusals_never_push_out_what_was_done(void **state)
{
    stored_t *stored = *state;
    for (uint64_t i = 1; i <= 5; i++) {
        put(stored->store, "done", i * 1000);
    }
    for (uint64_t i = 6; i <= 30; i++) {
        put(stored->store, "refused", i * 1000);
    }
    assert_int_equal(prune(stored->store, 0, 100, 100), 0);
    assert_int_equal(prune(stored->store, 0, 5, 10), 15);
    assert_int_equal(prune(stored->store, 0, 3, 10), 2);
    assert_int_equal(prune(stored->store, 5000, 3, 10), 2);
    admin_audit_filter_t done = {
        .rows = {.term_count = 1, .terms = {{"outcome", 1, {"done"}}}}};
    assert_int_equal(look(stored->store, &done).count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_audit_put_comes_back_as_it_was),
        stored_test(test_audit_put_with_seq_adds_to_the_row),
        stored_test(test_audit_each_newest_first_and_filtered),
        stored_test(test_audit_prune_refusals_never_push_out_what_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
