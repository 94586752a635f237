/* SPDX-License-Identifier: Apache-2.0
 *
 * Every outcome has a name of its own.
 */
#include "../../core/decide/outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_outcome_name_each_is_different(void **state)
{
    (void)state;
    for (unsigned i = 0; i < L7S_OUTCOMES; i++) {
        assert_non_null(l7s_outcome_name((l7s_outcome_t)i));
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(l7s_outcome_name((l7s_outcome_t)i),
                                    l7s_outcome_name((l7s_outcome_t)other));
        }
    }
}

static void test_outcome_name_unknown_number_is_a_refusal(void **state)
{
    (void)state;
    assert_string_equal(l7s_outcome_name(L7S_OUTCOMES), "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcome_name_each_is_different),
        cmocka_unit_test(test_outcome_name_unknown_number_is_a_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
