/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is challenged, what counts, and how a proof becomes a pass.
 */
#include "../../core/decide/examine.h"
#include "../../core/sha256.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"
#define HTML "accept: text/html,*/*;q=0.8"
#define AGENT "user-agent: Mozilla/5.0"

static l7s_policy_t *gate(fixture_t *fixture, l7s_challenge_t kind)
{
    l7s_policy_t *policy = fixture_policy(fixture, "gate", L7S_ACTION_CHALLENGE, 0, 0);

    policy->challenge = kind;
    policy->bits = 8;
    policy->ban_seconds = 600;
    return policy;
}

/* A browser that opens a page; `cookie` is a whole header, or NULL. */
static fixture_request_t browser(const char *cookie)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");

    request.headers[0] = HTML;
    request.headers[1] = AGENT;
    request.headers[2] = cookie;
    return request;
}

static void test_examine_cookie_is_the_pass(void **state)
{
    fixture_t *fixture = *state;
    char cookie[128];
    l7s_verdict_t verdict;

    gate(fixture, L7S_CHALLENGE_COOKIE);
    fixture_compile(fixture);
    fixture_request_t request = browser(NULL);
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_CHALLENGED);
    assert_string_equal(verdict.action, "challenge");
    assert_int_equal(verdict.status, 403);
    assert_int_equal(verdict.challenge.seconds, 600);
    snprintf(cookie, sizeof cookie, "cookie: l7shield-gate=%s", verdict.challenge.token);
    request = browser(cookie);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    l7s_episode_t *episode = fixture_episode(fixture, "gate");
    assert_int_equal(atomic_load(&episode->acted), 1);
    assert_int_equal(atomic_load(&episode->passed), 1);
    assert_string_equal(episode->facts.action, "challenge");
    fixture_pass_ms(fixture, 600000);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_CHALLENGED);
}

static void test_examine_proof_becomes_a_pass(void **state)
{
    fixture_t *fixture = *state;
    l7s_proof_t proof = {.policy = "gate", .nonce = "0"};
    char cookie[128], nonce[16];
    l7s_verdict_t verdict;
    l7s_ticket_t ticket;

    gate(fixture, L7S_CHALLENGE_WORK);
    fixture_policy(fixture, "plain", L7S_ACTION_THROTTLE, 1000, 1);
    fixture_compile(fixture);
    fixture_request_t request = browser(NULL);
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.challenge.bits, 8);
    proof.seed = verdict.challenge.token;
    for (unsigned number = 0; number < 100000; number++) {
        char message[64];
        uint32_t digest[8];
        int size = snprintf(message, sizeof message, "%s.%u", proof.seed, number);
        l7s_sha256_short(message, (size_t)size, digest);
        snprintf(nonce, sizeof nonce, "%u", number);
        proof.nonce = nonce;
        l7s_proof_result_t result = l7s_challenge_redeem(fixture->image, &request.facts,
                                                         &proof, fixture->now, &ticket);
        if (digest[0] >> 24 == 0) {
            assert_int_equal(result, L7S_PROOF_HOLDS);
            break;
        }
        assert_int_equal(result, L7S_PROOF_WRONG);
        assert_string_equal(ticket.pass, "");
    }
    assert_int_equal(ticket.seconds, 600);
    snprintf(cookie, sizeof cookie, "cookie: l7shield-gate=%s", ticket.pass);
    request = browser(cookie);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const others[] = {"plain", "gone", ""};
        proof.policy = others[i];
        assert_int_equal(l7s_challenge_redeem(fixture->image, &request.facts, &proof,
                                              fixture->now, &ticket),
                         L7S_PROOF_WRONG);
    }
}

static void test_examine_who_cannot_answer_is_excused_or_refused(void **state)
{
    static const struct {
        const char *method, *accept, *extra, *path;
        l7s_outcome_t excused, refused;
    } cases[] = {
        {"GET", HTML, NULL, "/", L7S_OUTCOME_CHALLENGED, L7S_OUTCOME_CHALLENGED},
        {"HEAD", HTML, NULL, "/", L7S_OUTCOME_CHALLENGED, L7S_OUTCOME_CHALLENGED},
        {"GET", NULL, NULL, "/", L7S_OUTCOME_LOGGED, L7S_OUTCOME_CHALLENGED},
        {"GET", "accept: */*", NULL, "/", L7S_OUTCOME_LOGGED, L7S_OUTCOME_CHALLENGED},
        {"POST", HTML, NULL, "/", L7S_OUTCOME_LOGGED, L7S_OUTCOME_CHALLENGED},
        {"OPTIONS", "accept: */*", "access-control-request-method: PUT", "/",
         L7S_OUTCOME_LOGGED, L7S_OUTCOME_LOGGED},
        {"OPTIONS", "accept: */*", NULL, "/", L7S_OUTCOME_LOGGED, L7S_OUTCOME_CHALLENGED},
        {"GET", HTML, NULL, "/.well-known/l7shield/verify", L7S_OUTCOME_ADMITTED,
         L7S_OUTCOME_ADMITTED},
        {"GET", "accept: */*", NULL, "/.well-known/l7shield/proof.js",
         L7S_OUTCOME_ADMITTED, L7S_OUTCOME_ADMITTED},
        {"POST", HTML, NULL, "/.well-known/l7shield/verify", L7S_OUTCOME_LOGGED,
         L7S_OUTCOME_CHALLENGED},
        {"GET", HTML, NULL, "/.well-known/l7shield/x", L7S_OUTCOME_CHALLENGED,
         L7S_OUTCOME_CHALLENGED},
    };
    fixture_t *fixture = *state;

    for (unsigned refuses = 0; refuses < 2; refuses++) {
        fixture_reset(fixture);
        gate(fixture, L7S_CHALLENGE_WORK)->refuses = refuses != 0;
        fixture_compile(fixture);
        for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
            fixture_request_t request = fixture_request(CLIENT, cases[i].method,
                                                        "www.example.com", cases[i].path);
            request.headers[0] = cases[i].accept;
            request.headers[1] = cases[i].extra;
            l7s_verdict_t verdict = fixture_decide(fixture, &request);
            assert_int_equal(verdict.outcome,
                             refuses ? cases[i].refused : cases[i].excused);
            if (verdict.outcome == L7S_OUTCOME_CHALLENGED) {
                /* Asked only where it can answer. */
                assert_int_equal(verdict.challenge.token[0] != '\0', i < 2 || i == 10);
            }
        }
    }
}

/* Observing asks nobody and counts alike. */
static void test_examine_observed_challenge_admits(void **state)
{
    fixture_t *fixture = *state;

    gate(fixture, L7S_CHALLENGE_WORK)->mode = L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    fixture_request_t request = browser(NULL);
    l7s_verdict_t verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.action, "would_challenge");
    assert_int_equal(atomic_load(&fixture_episode(fixture, "gate")->acted), 0);
}

static void test_examine_passed_client_is_judged_by_the_others(void **state)
{
    fixture_t *fixture = *state;
    char cookie[128];
    l7s_policy_t *policy = gate(fixture, L7S_CHALLENGE_COOKIE);

    policy->rate_count = 1;
    policy->rates[0] = (l7s_rate_t){1, 1, 3600000000ULL};
    fixture_policy(fixture, "z-limit", L7S_ACTION_THROTTLE, 3, 3600);
    fixture_compile(fixture);
    fixture_request_t request = browser(NULL);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    l7s_verdict_t verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_CHALLENGED);
    snprintf(cookie, sizeof cookie, "cookie: l7shield-gate=%s", verdict.challenge.token);
    request = browser(cookie);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_THROTTLED);
}

/* throttle, then a challenge, then a ban: by episodes. */
static void test_examine_challenge_as_a_step(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "gate", L7S_ACTION_THROTTLE, 1, 1);
    l7s_step_t *step = &policy->steps[policy->step_count++];
    char cookie[128];

    *step = (l7s_step_t){2, 3600, {.action = L7S_ACTION_CHALLENGE, .status = 403}};
    step->sanction.challenge = L7S_CHALLENGE_COOKIE;
    step->sanction.seconds = 3000;
    fixture_compile(fixture);
    fixture_request_t request = browser(NULL);
    fixture_decide(fixture, &request);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_THROTTLED);
    fixture_pass_ms(fixture, 61000);
    l7s_episode_close(&fixture->shared.episodes, fixture_episode(fixture, "gate"));
    fixture_decide(fixture, &request);
    l7s_verdict_t verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_CHALLENGED);
    snprintf(cookie, sizeof cookie, "cookie: l7shield-gate=%s", verdict.challenge.token);
    request = browser(cookie);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    }
    l7s_proof_t proof = {.policy = "gate", .seed = "", .nonce = ""};
    l7s_ticket_t ticket;
    assert_int_equal(l7s_challenge_redeem(fixture->image, &request.facts, &proof,
                                          fixture->now, &ticket),
                     L7S_PROOF_HOLDS);
    request = browser(NULL);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_CHALLENGED);
    assert_int_equal(l7s_challenge_redeem(fixture->image, &request.facts, &proof,
                                          fixture->now, &ticket),
                     L7S_PROOF_NO_COOKIE);
}

#define TEST(name) cmocka_unit_test_setup(name, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_examine_cookie_is_the_pass),
        TEST(test_examine_proof_becomes_a_pass),
        TEST(test_examine_who_cannot_answer_is_excused_or_refused),
        TEST(test_examine_observed_challenge_admits),
        TEST(test_examine_passed_client_is_judged_by_the_others),
        TEST(test_examine_challenge_as_a_step),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
