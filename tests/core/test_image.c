/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of an image against garbage: whatever passes it must be safe to evaluate. Run
 * under the address sanitizer this is the proof; without it, that nothing crashes.
 */
#include "../../core/image/image_layout.h"
#include "policy_fixture.h"
#include "policy_random.h"
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 30000

static int set_up(void **state)
{
    static fixture_t fixture;
    uint64_t seed = 4;

    fixture_open(&fixture, 256);
    random_config(&fixture, &seed, true);
    fixture_compile(&fixture);
    *state = &fixture;
    return 0;
}

/* A copy that ends where the image does, so that a sanitizer sees every byte too far. */
static l7s_image_t *copy_image(const fixture_t *fixture)
{
    size_t size = (fixture->image->size + 63) / 64 * 64;
    /* Its databases lie at multiples of 64. */
    l7s_image_t *copy = aligned_alloc(64, size);

    assert_non_null(copy);
    memcpy(copy, fixture->image, fixture->image->size);
    return copy;
}

static void test_image_check_wrong_head_is_refused(void **state)
{
    fixture_t *fixture = *state;
    size_t size = fixture->image->size;
    l7s_image_t *copy = copy_image(fixture);

    assert_ptr_equal(l7s_image_check(copy, size), copy);
    assert_null(l7s_image_check(NULL, size));
    assert_null(l7s_image_check(copy, 0));
    assert_null(l7s_image_check(copy, sizeof *copy - 1));
    assert_null(l7s_image_check(copy, size - 1));
    assert_null(l7s_image_check((char *)copy + 4, size - 4));
    copy->magic++;
    assert_null(l7s_image_check(copy, size));
    copy->magic--;
    copy->version++;
    assert_null(l7s_image_check(copy, size));
    copy->version--;
    copy->size++;
    assert_null(l7s_image_check(copy, size));
    free(copy);
}

static void test_image_check_each_section_out_of_bounds_is_refused(void **state)
{
    fixture_t *fixture = *state;
    size_t size = fixture->image->size;
    l7s_image_t *copy = copy_image(fixture);

    for (unsigned i = 0; i < L7S_SECTIONS; i++) {
        l7s_section_t saved = copy->sections[i];
        copy->sections[i].at = UINT32_MAX - 7;
        assert_null(l7s_image_check(copy, size));
        copy->sections[i] = (l7s_section_t){saved.at + 1, saved.count};
        assert_null(l7s_image_check(copy, size));
        copy->sections[i] = (l7s_section_t){0, saved.count};
        assert_null(l7s_image_check(copy, size));
        copy->sections[i] = (l7s_section_t){saved.at, UINT32_MAX};
        assert_null(l7s_image_check(copy, size));
        copy->sections[i] = saved;
    }
    assert_non_null(l7s_image_check(copy, size));
    free(copy);
}

static void evaluate(fixture_t *fixture, const l7s_image_t *image, uint64_t *seed)
{
    l7s_addr_t peer = fixture_addr(random_client(seed));
    fixture_request_t request;
    l7s_verdict_t verdict;
    uint32_t count;

    random_request(fixture, seed, &request);
    request.facts.context = &request;
    request.scratch = fixture->scratch;
    l7s_decide(&fixture->shared, image, &request.facts, fixture->now, &verdict);
    l7s_decide_address(&fixture->shared, image, &peer, L7S_MODE_ENFORCE, fixture->now,
                       &verdict);
    (void)l7s_image_limits(image, &count);
    (void)l7s_image_limit(image, (uint32_t)seeded_next(seed));
}

/* Damages a few bytes, preferably small numbers in the head. */
static void damage(l7s_image_t *image, uint64_t *seed)
{
    size_t reach = seeded_below(seed, 2) ? sizeof *image : image->size;

    for (uint64_t i = 0, wanted = 1 + seeded_below(seed, 3); i < wanted; i++) {
        size_t at = seeded_below(seed, reach);
        uint8_t *byte = (uint8_t *)image + at;
        *byte = (uint8_t)(seeded_below(seed, 2) ? *byte + seeded_below(seed, 5) - 2
                                                : seeded_next(seed));
    }
}

static void test_image_check_damaged_image_is_refused_or_harmless(void **state)
{
    fixture_t *fixture = *state;
    size_t size = fixture->image->size;
    l7s_image_t *copy = copy_image(fixture);
    unsigned passed = 0, refused = 0;
    uint64_t seed = 77;

    for (unsigned i = 0; i < ROUNDS; i++) {
        memcpy(copy, fixture->image, size);
        damage(copy, &seed);
        if (l7s_image_check(copy, size) != NULL) {
            evaluate(fixture, copy, &seed);
            passed++;
        } else {
            refused++;
        }
    }
    assert_true(passed > ROUNDS / 10); /* else nothing was shown */
    assert_true(refused > ROUNDS / 10);
    free(copy);
}

static void test_image_check_noise_is_refused(void **state)
{
    uint64_t memory[512], seed = 5;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned k = 0; k < 512; k++) {
            memory[k] = seeded_next(&seed);
        }
        assert_null(l7s_image_check(memory, sizeof memory));
        memory[0] = L7S_IMAGE_MAGIC;
        memory[1] = L7S_IMAGE_VERSION | 1ULL << 32;
        memory[2] = sizeof memory;
        assert_null(l7s_image_check(memory, sizeof memory));
    }
}

static void test_image_limit_finds_each_limit_by_its_id(void **state)
{
    fixture_t *fixture = *state;
    uint32_t count;
    const l7s_image_limit_t *limits = l7s_image_limits(fixture->image, &count);

    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_not_equal(limits[i].id, 0);
        assert_ptr_equal(l7s_image_limit(fixture->image, limits[i].id), &limits[i]);
    }
    assert_null(l7s_image_limit(fixture->image, limits[0].id + 1));
}

static void test_image_response_is_found_by_name(void **state)
{
    fixture_t *fixture = *state;
    l7s_response_t responses[] = {
        {.name = "sorry",
         .content_type = fixture_text(fixture, "text/plain"),
         .body = fixture_text(fixture, "Sorry")},
        {.name = "empty",
         .content_type = fixture_text(fixture, "text/html"),
         .body = fixture_text(fixture, "")},
    };
    const char *type = NULL, *body = NULL;

    fixture->config.responses = responses;
    fixture->config.response_count = 2;
    fixture_compile(fixture);
    assert_true(l7s_image_response(fixture->image, "sorry", &type, &body));
    assert_string_equal(type, "text/plain");
    assert_string_equal(body, "Sorry");
    assert_true(l7s_image_response(fixture->image, "empty", &type, &body));
    assert_string_equal(body, "");
    assert_false(l7s_image_response(fixture->image, "default", &type, &body));
    assert_false(l7s_image_response(fixture->image, NULL, &type, &body));
    assert_false(l7s_image_response(fixture->image, "", &type, &body));
}

static void test_image_names_tell_what_it_was_compiled_from(void **state)
{
    fixture_t *fixture = *state;

    assert_int_equal(l7s_image_revision(fixture->image), 7);
    assert_int_equal(l7s_image_policies(fixture->image), fixture->config.policy_count);
    assert_memory_equal(l7s_image_count_key(fixture->image), &fixture->count_key,
                        sizeof fixture->count_key);
}

/* --- what is not out of bounds, but would mislead who reads it --- */

/* A policy that bans and a share of failing answers, and nothing else. */
static l7s_image_t *compile_two(fixture_t *fixture)
{
    l7s_policy_t *share;

    fixture_reset(fixture);
    fixture_policy(fixture, "ban", L7S_ACTION_BAN, 5, 60);
    share = fixture_policy(fixture, "share", L7S_ACTION_THROTTLE, 0, 0);
    share->ratio = (l7s_ratio_t){.percent = 80, .min_requests = 50, .seconds = 60};
    fixture_count_status(share, 400, 599);
    fixture_compile(fixture);
    return copy_image(fixture);
}

static l7s_image_policy_t *policy_of(l7s_image_t *image, uint32_t index)
{
    return (l7s_image_policy_t *)l7s_image_policy(image, index);
}

static l7s_image_limit_t *limit_of(l7s_image_t *image, uint32_t index)
{
    uint32_t count = 0;

    return (l7s_image_limit_t *)l7s_image_limits(image, &count) + index;
}

static void assert_refused(fixture_t *fixture, const l7s_image_t *image)
{
    assert_null(l7s_image_check(image, fixture->image->size));
}

/* Found by fuzzing: whom such a ban would mean was not initialised. */
static void test_image_check_ban_that_is_not_announced_is_refused(void **state)
{
    fixture_t *fixture = *state;
    l7s_image_t *copy = compile_two(fixture);

    assert_non_null(l7s_image_check(copy, fixture->image->size));
    policy_of(copy, 0)->may_ban = 0;
    assert_refused(fixture, copy);
    free(copy);
}

static void test_image_check_share_needs_both_tallies(void **state)
{
    enum { SHARE = 1, ANSWERED = 1, FAILED = 2 }; /* the first limit is the ban's */
    fixture_t *fixture = *state;
    l7s_image_t *copy = compile_two(fixture);

    assert_int_equal(policy_of(copy, SHARE)->tallies.first, ANSWERED);
#define REFUSED(member, wrong)                                                           \
    do {                                                                                 \
        __typeof__(member) *at = &(member), right = *at;                                 \
        *at = (wrong);                                                                   \
        assert_refused(fixture, copy);                                                   \
        *at = right;                                                                     \
        assert_non_null(l7s_image_check(copy, fixture->image->size));                    \
    } while (0)
    REFUSED(policy_of(copy, SHARE)->ratio.percent, 0);
    REFUSED(policy_of(copy, SHARE)->ratio.percent, 101);
    REFUSED(policy_of(copy, SHARE)->ratio.min_requests, 0);
    REFUSED(policy_of(copy, SHARE)->ratio.seconds, 0); /* divided by */
    REFUSED(policy_of(copy, SHARE)->ratio.seconds, 61);
    REFUSED(policy_of(copy, SHARE)->deferred, 0);
    REFUSED(policy_of(copy, SHARE)->tallies.count, 1);
    REFUSED(policy_of(copy, SHARE)->tallies.first, 0);
    REFUSED(policy_of(copy, SHARE)->tallies.first, FAILED);
    REFUSED(limit_of(copy, ANSWERED)->tally, 0);
    REFUSED(limit_of(copy, FAILED)->tally, 0);
    REFUSED(limit_of(copy, FAILED)->fleet, 1);
    REFUSED(limit_of(copy, FAILED)->place, L7S_RATIO_ANSWERED); /* none behind it */
    REFUSED(limit_of(copy, 0)->tally, 1);
    REFUSED(limit_of(copy, FAILED)->rate.period_us, 1);
#undef REFUSED
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_check_wrong_head_is_refused),
        cmocka_unit_test(test_image_check_each_section_out_of_bounds_is_refused),
        cmocka_unit_test(test_image_check_damaged_image_is_refused_or_harmless),
        cmocka_unit_test(test_image_check_noise_is_refused),
        cmocka_unit_test(test_image_limit_finds_each_limit_by_its_id),
        cmocka_unit_test(test_image_names_tell_what_it_was_compiled_from),
        cmocka_unit_test(test_image_response_is_found_by_name),
        cmocka_unit_test(test_image_check_ban_that_is_not_announced_is_refused),
        cmocka_unit_test(test_image_check_share_needs_both_tallies),
    };

    return cmocka_run_group_tests(tests, set_up, fixture_tear_down);
}
