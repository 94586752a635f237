/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks in the store, and whose state is whose.
 */
#include "../../admin_api/store/store_webhooks.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "stored.h"
#include <string.h>

static admin_webhook_t put(stored_t *stored, const char *name, uint64_t created_ms)
{
    admin_webhook_t webhook = {.secret = "0123456789abcdef",
                               .created_ms = created_ms,
                               .updated_ms = created_ms,
                               .spec = json_pack("{s:s}", "url", "https://a.example/")};
    snprintf(webhook.name, sizeof webhook.name, "%s", name);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_webhook_put(stored->store, &webhook), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    json_decref(webhook.spec);
    return webhook;
}

static bool collect(void *context, const admin_webhook_t *webhook)
{
    strcat(context, webhook->name);
    return true;
}

static void test_webhooks_come_back_in_the_order_of_their_names(void **state)
{
    stored_t *stored = *state;
    admin_webhook_t found;
    char names[16] = "";
    put(stored, "b", 5);
    put(stored, "a", 6);
    put(stored, "b", 5);
    assert_int_equal(admin_webhook_each(stored->store, "", collect, names), L7S_OK);
    assert_string_equal(names, "ab");
    names[0] = '\0';
    assert_int_equal(admin_webhook_each(stored->store, "a", collect, names), L7S_OK);
    assert_string_equal(names, "b");
    assert_int_equal(admin_webhook_get(stored->store, "b", &found), L7S_OK);
    assert_string_equal(found.secret, "0123456789abcdef");
    assert_int_equal(found.created_ms, 5);
    json_decref(found.spec);
    assert_int_equal(admin_webhook_get(stored->store, "c", &found), L7S_NOT_FOUND);
    assert_int_equal(admin_store_begin(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_webhook_delete(stored->store, "b"), L7S_OK);
    assert_int_equal(admin_store_commit(stored->store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_webhook_get(stored->store, "b", &found), L7S_NOT_FOUND);
}

static void test_webhook_state_is_not_that_of_an_earlier_one_of_the_name(void **state)
{
    stored_t *stored = *state;
    admin_webhook_t webhook = put(stored, "a", 5);
    admin_webhook_state_t found, kept = {.created_ms = 5,
                                         .position = 42,
                                         .success_ms = 1,
                                         .failure_ms = 2,
                                         .next_ms = 3,
                                         .failures = 4,
                                         .error = "it answered 500"};
    assert_int_equal(admin_webhook_state_get(stored->store, &webhook, &found),
                     L7S_NOT_FOUND);
    assert_int_equal(admin_webhook_state_put(stored->store, "a", &kept), L7S_OK);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    assert_int_equal(admin_webhook_state_get(stored->store, &webhook, &found), L7S_OK);
    assert_int_equal(found.position, 42);
    assert_int_equal(found.failures, 4);
    assert_string_equal(found.error, "it answered 500");
    webhook = put(stored, "a", 6);
    assert_int_equal(admin_webhook_state_get(stored->store, &webhook, &found),
                     L7S_NOT_FOUND);
    assert_int_equal(found.position, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_webhooks_come_back_in_the_order_of_their_names),
        stored_test(test_webhook_state_is_not_that_of_an_earlier_one_of_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
