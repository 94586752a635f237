/* SPDX-License-Identifier: Apache-2.0
 *
 * Instructions per decision: `valgrind --tool=callgrind bench_decide CASE ROUNDS` decides
 * the same request that often; the difference of two runs of different length, divided by
 * the difference of their rounds, is the cost of one decision. Not a test: it prints how
 * many requests had each outcome.
 */
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Twenty policies as a shop might have them, of which four match GET /static/x. */
static void add_twenty(fixture_t *fixture)
{
    static const char *const paths[] = {"/login",      "/api/*/login",  "/checkout/**",
                                        "/search",     "/admin/**",     "/internal/**",
                                        "/xmlrpc.php", "/wp-login.php", "/api/v1/**",
                                        "/api/v2/**",  "/graphql",      "/export/*.csv"};
    l7s_policy_t *policy;
    char name[32];

    fixture_list(fixture, "office", L7S_EFFECT_NONE, "198.51.100.0/24 192.0.2.0/25");
    fixture_list(fixture, "monitoring", L7S_EFFECT_ALLOW, "192.0.2.128/25");
    fixture_list(fixture, "bad", L7S_EFFECT_DENY, "100.64.0.0/10 198.18.0.0/15");
    for (unsigned i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "path-%u", i);
        policy = fixture_policy(fixture, name, L7S_ACTION_THROTTLE, 20, 60);
        policy->match.paths = fixture_strings(fixture, paths[i]);
        policy->match.methods = fixture_strings(fixture, i % 2 ? "POST PUT" : "");
        fixture_match_client(fixture, &fixture_except(fixture, policy)[0], "@office");
    }
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "host-%u", i);
        policy = fixture_policy(fixture, name, L7S_ACTION_THROTTLE, 1000, 60);
        policy->match.hosts =
            fixture_strings(fixture, i % 2 ? "*.example.net" : "api.example.com");
    }
    policy = fixture_policy(fixture, "no-agent", L7S_ACTION_DENY, 0, 0);
    fixture_match_header(fixture, &policy->match, "user-agent", L7S_IS_ABSENT, "");
    fixture_policy(fixture, "per-client", L7S_ACTION_THROTTLE, 1000000, 1);
    policy = fixture_policy(fixture, "per-network", L7S_ACTION_BAN, 1000000, 1);
    policy->mode = L7S_MODE_OBSERVE;
    fixture_by(fixture, policy, "network");
    policy = fixture_policy(fixture, "per-path", L7S_ACTION_LOG, 1000000, 1);
    fixture_by(fixture, policy, "path");
}

static void add_many(fixture_t *fixture, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[32], path[64];
        snprintf(name, sizeof name, "many-%u", i);
        snprintf(path, sizeof path, "/many/%u/**", i);
        fixture_policy(fixture, name, L7S_ACTION_THROTTLE, 10, 1)->match.paths =
            fixture_strings(fixture, path);
    }
}

/* The mix of bench/cost.py: a limit for all, paths, methods, hosts, headers, networks. */
static void add_mix(fixture_t *fixture, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned kind = i % 20 == 0 ? 0 : 1 + i % 5;
        char name[32], text[64];
        l7s_policy_t *policy;
        snprintf(name, sizeof name, "p%u", i);
        policy = fixture_policy(fixture, name, L7S_ACTION_THROTTLE,
                                kind == 4 ? 0 : 1000000, 60);
        snprintf(text, sizeof text,
                 kind == 1   ? "/app%u/**"
                 : kind == 2 ? "/login%u"
                 : kind == 3 ? "h%u.example.com"
                 : kind == 4 ? "bot-%u"
                             : "203.0.%u.0/24",
                 i);
        if (kind == 1 || kind == 2) {
            policy->match.paths = fixture_strings(fixture, text);
        }
        if (kind == 2) {
            policy->match.methods = fixture_strings(fixture, "POST");
        } else if (kind == 3) {
            policy->match.hosts = fixture_strings(fixture, text);
        } else if (kind == 4) {
            policy->match.paths = fixture_strings(fixture, "/**");
            fixture_match_header(fixture, &policy->match, "user-agent", L7S_IS_CONTAINS,
                                 text);
            policy->action = L7S_ACTION_DENY;
        } else if (kind == 5) {
            fixture_match_client(fixture, &policy->match, text);
        }
    }
}

static void set_up(fixture_t *fixture, const char *what)
{
    if (strcmp(what, "one") == 0 || strcmp(what, "refused") == 0) {
        uint32_t requests = strcmp(what, "one") == 0 ? 1000000 : 1;
        fixture_policy(fixture, "per-client", L7S_ACTION_THROTTLE, requests, 1);
    } else if (strcmp(what, "banned") == 0) {
        l7s_policy_t *policy = fixture_policy(fixture, "ban", L7S_ACTION_BAN, 1, 1);
        policy->ban_seconds = 86400;
    } else if (strcmp(what, "answered") == 0) {
        add_mix(fixture, 20);
        fixture_count_status(
            fixture_policy(fixture, "failing", L7S_ACTION_THROTTLE, 1000000, 60), 401,
            401);
    } else if (strncmp(what, "mix", 3) == 0) {
        add_mix(fixture, (unsigned)atoi(what + 3));
    } else if (strcmp(what, "none") != 0) {
        add_twenty(fixture);
        add_many(fixture, strcmp(what, "hundred") == 0 ? 80 : 0);
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1000, outcomes[8] = {0};
    fixture_request_t request =
        fixture_request("203.0.113.7", "GET", "www.example.com", "/static/img/logo.png");
    l7s_verdict_t verdict;
    fixture_t fixture;

    if (argc < 2) {
        fprintf(
            stderr,
            "usage: %s none|one|mix20|twenty|hundred|answered|refused|banned [rounds]\n",
            argv[0]);
        return 2;
    }
    request.headers[0] = "user-agent: bench/1";
    fixture_open(&fixture, 1024);
    set_up(&fixture, argv[1]);
    fixture_compile(&fixture);
    fixture_lend(&fixture, &request);
    for (unsigned i = 0; i < rounds; i++) {
        fixture.now.mono_us += 10;
        l7s_decide(&fixture.shared, fixture.image, &request.facts, fixture.now, &verdict);
        outcomes[verdict.outcome]++;
        if (verdict.awaits != 0) {
            fixture_answer(&fixture, &request,
                           (l7s_answer_t){.status = 200, .was_decided = true}, &verdict);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        printf("%s%u", i ? " " : "", outcomes[i]);
    }
    printf("\n");
    fixture_close(&fixture);
    return 0;
}
