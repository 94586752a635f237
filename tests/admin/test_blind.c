/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy asks for and a log does not tell, one row of the table after the other.
 */
#include "../../admin_api/backtest/blind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALWAYS "\"detect\":{\"always\":{}},\"action\":{\"deny\":{}}"
#define RATE                                                                             \
    "\"detect\":{\"rate\":{\"requests\":1,\"per_seconds\":1}},\"action\":{\"deny\":{}}"

/* The pointers of what is not told, "a b ". */
static const char *blind(const char *policy, admin_told_t told)
{
    static char out[512];
    char text[1024];
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config;
    json_t *document, *items, *item;
    size_t index;

    snprintf(text, sizeof text, "{\"policies\":[{\"name\":\"p\",%s}]}", policy);
    document = json_loads(text, 0, NULL);
    if (l7s_config_parse(document, &problems, &config) != L7S_OK) {
        fail_msg("%s %s", problems.items[0].pointer, problems.items[0].message);
    }
    items = admin_blind(config, &told);
    out[0] = '\0';
    json_array_foreach(items, index, item)
    {
        assert_string_equal(json_string_value(json_object_get(item, "policy")), "p");
        strcat(out, json_string_value(json_object_get(item, "pointer")));
        strcat(out, " ");
    }
    json_decref(items);
    json_decref(document);
    l7s_config_free(config);
    return out;
}

static void test_blind_table(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *nothing, *hosts, *full; /* what is not told, when … is */
    } table[] = {
        {ALWAYS, "", "", ""},
        {"\"match\":{\"headers\":[{\"name\":\"User-Agent\",\"is\":\"absent\"}]}," ALWAYS,
         "", "", ""},
        {"\"match\":{\"headers\":[{\"name\":\"x-a\",\"is\":\"absent\"}]}," ALWAYS,
         "/match/headers ", "/match/headers ", "/match/headers "},
        {"\"match\":{\"except\":[{\"cookies\":[{\"name\":\"a\",\"is\":\"present\"}]}]}," ALWAYS,
         "/match/cookies ", "/match/cookies ", "/match/cookies "},
        {"\"match\":{\"query\":[{\"name\":\"a\",\"is\":\"present\"}]}," ALWAYS, "", "",
         ""},
        {"\"match\":{\"client\":{\"in\":[\"country:XX\"]}}," ALWAYS, "/match/client/in ",
         "/match/client/in ", "/match/client/in "},
        {"\"match\":{\"any\":[{\"hosts\":[\"example.com\"]}]}," ALWAYS, "/match/hosts ",
         "", "/match/hosts "},
        {"\"match\":{\"signals\":[\"a\"]}," RATE, "/match/signals ", "/match/signals ",
         ""},
        {"\"count\":{\"by\":[\"header:x-key\"]}," RATE, "/count/by ", "/count/by ",
         "/count/by "},
        {"\"count\":{\"by\":[\"header:user-agent\"]}," RATE, "", "", ""},
        {"\"count\":{\"cost\":\"busy_ms\"}," RATE, "/count/cost ", "/count/cost ", ""},
        {"\"count\":{\"cost\":\"response_header\"}," RATE, "/count/cost ", "/count/cost ",
         "/count/cost "},
        {"\"detect\":{\"concurrency\":{\"max\":2}},\"action\":{\"deny\":{}}",
         "/detect/concurrency ", "/detect/concurrency ", "/detect/concurrency "},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_string_equal(blind(table[i].policy, (admin_told_t){0}), table[i].nothing);
        assert_string_equal(blind(table[i].policy, (admin_told_t){.hosts = true}),
                            table[i].hosts);
        assert_string_equal(blind(table[i].policy, (admin_told_t){.full = true}),
                            table[i].full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blind_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
