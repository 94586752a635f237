/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: what mod_l7shield writes is understood, anything else is refused with
 * a sentence.
 */
#include "../../mod_l7shield/sync/options.h"
#include "unit.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define WORDS 12

/* getopt keeps its place between calls and reorders what it reads. */
static bool parse(const char *const *words, sync_options_t *out, char why[256])
{
    char *copies[WORDS] = {(char *)"l7shield-sync"};
    int count = 1;

    for (; words[count - 1] != NULL; count++) {
        copies[count] = (char *)words[count - 1];
    }
    optind = 0;
    return sync_options_parse(count, copies, out, why);
}

static void test_options_parse_what_the_module_writes_is_understood(void **state)
{
    (void)state;
    static const char *const words[] = {
        "--segment-fd=3",      "--generation=7",      "--node=web-1",
        "--state-dir=/s",      "--tick-ms=50",        "--memcached=127.0.0.1:11211",
        "--memcached=[::1]:2", "--secret-file=/a",    "--trust-file=/b",
        "--parent=42",         "--syslog=local1:web", NULL};
    sync_options_t options;
    char why[256];

    assert_true(parse(words, &options, why));
    assert_int_equal(options.segment_fd, 3);
    assert_int_equal(options.generation, 7);
    assert_string_equal(options.node, "web-1");
    assert_string_equal(options.state_dir, "/s");
    assert_int_equal(options.tick_ms, 50);
    assert_int_equal(options.server_count, 2);
    assert_string_equal(options.servers[1], "[::1]:2");
    assert_int_equal(options.parent, 42);
    assert_string_equal(options.syslog, "local1:web");
    assert_null(options.policy_file);
}

static void test_options_parse_bad_ones_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        const char *sentence;
    } cases[] = {
        {{NULL}, "--segment-fd is required"},
        {{"--segment-fd=3", NULL}, "--node is required"},
        {{"--segment-fd=x", "--node=n", NULL}, "bad value of --segment-fd"},
        {{"--segment-fd=3", "--node=", NULL}, "bad value of --node"},
        {{"--segment-fd=3", "--node=n", "--tick-ms=19", NULL}, "bad value of --tick-ms"},
        {{"--segment-fd=3", "--node=n", "--tick-ms=1001", NULL},
         "bad value of --tick-ms"},
        {{"--segment-fd=3", "--node=n", "--generation=-1", NULL},
         "bad value of --generation"},
        {{"--segment-fd=3", "--node=n", "--parent=0", NULL}, "bad value of --parent"},
        {{"--colour=red", NULL}, "unknown or incomplete option --colour=red"},
        {{"--segment-fd=3", "--node=n", "more", NULL}, "arguments are not expected"},
        {{"--segment-fd=3", "--node=n", "--memcached=127.0.0.1:1", NULL},
         "--memcached needs --secret-file and --trust-file"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sync_options_t options;
        char why[256] = "";
        assert_false(parse(cases[i].words, &options, why));
        assert_string_equal(why, cases[i].sentence);
    }
}

static void test_options_parse_check_needs_nothing_else(void **state)
{
    (void)state;
    static const char *const words[] = {"--check-policy-file=/p", NULL};
    sync_options_t options;
    char why[256];

    assert_true(parse(words, &options, why));
    assert_string_equal(options.check_file, "/p");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_parse_what_the_module_writes_is_understood),
        cmocka_unit_test(test_options_parse_bad_ones_are_refused_with_a_sentence),
        cmocka_unit_test(test_options_parse_check_needs_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
