/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs of webhooks and the signature. The delivery itself is tested with a receiver
 * (tests/integration/test_354_webhooks.py).
 */
#include "../../admin_api/events/webhook_send.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static void test_webhook_url_check_takes_https_without_user(void **state)
{
    static const struct {
        const char *url;
        bool good, good_if_private;
    } cases[] = {
        {"https://hooks.example.com/a?b=c", true, true},
        {"https://hooks.example.com:8443/", true, true},
        {"https://8.8.8.8/", true, true},
        {"https://[2606:4700::1111]/", true, true},
        {"https://127.0.0.1/", false, true},
        {"https://0x7f.1/", false, true},
        {"https://2130706433/", false, true},
        {"https://[::1]/", false, true},
        {"https://[fe80::1%25eth0]/", false, true},
        {"https://localhost/", true, true}, /* its address is checked by the socket */
        {"http://hooks.example.com/", false, false},
        {"HTTPS://hooks.example.com/", true, true},
        {"https://user@hooks.example.com/", false, false},
        {"https://user:word@hooks.example.com/", false, false},
        {"https://hooks.example.com/#part", false, false},
        {"file:///etc/passwd", false, false},
        {"hooks.example.com", false, false},
        {"", false, false},
    };
    char why[160];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admin_webhook_url_check(cases[i].url, false, why),
                         cases[i].good);
        assert_int_equal(admin_webhook_url_check(cases[i].url, true, why),
                         cases[i].good_if_private);
    }
}

/* printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret-of-the-hook */
static void test_delivery_sign_is_hmac_of_time_and_body(void **state)
{
    char text[ADMIN_SIGNATURE_MAX];
    (void)state;
    admin_delivery_sign("secret-of-the-hook", "{\"a\":1}", 1700000000, text);
    assert_string_equal(
        text,
        "t=1700000000,v1=2ed71134a77d3a0a07f27e652ca3ed59ee953d80c0c7c5ccb491abb093c40180");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_webhook_url_check_takes_https_without_user),
        cmocka_unit_test(test_delivery_sign_is_hmac_of_time_and_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
