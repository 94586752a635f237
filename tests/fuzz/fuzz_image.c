/* SPDX-License-Identifier: Apache-2.0
 *
 * Damaged images: what passes the check must be safe to evaluate. An input is the number
 * of an image, the seed of the requests, and changes to that image.
 */
#include "../../core/image/image_layout.h"
#include "../core/policy_fixture.h"
#include "../core/policy_random.h"
#include "input.h"

#define IMAGES 16
#define REQUESTS 32

static fixture_t fixture;
static l7s_image_t *images[IMAGES];
static size_t sizes[IMAGES];
static fixture_request_t requests[REQUESTS];
static l7s_strict_verdict_t strict_verdict;

/* A copy that lies where databases of patterns may. */
static void *copy_image(const void *image, size_t size)
{
    void *copy = aligned_alloc(L7S_DATABASE_ALIGNMENT, (size + 63) / 64 * 64);
    fuzz_must(copy != NULL, "memory");
    return memcpy(copy, image, size);
}

static l7s_strict_verdict_t answer(void *context, l7s_strict_question_t *question)
{
    (void)context;
    fuzz_must(question->count <= L7S_STRICT_LIMITS, "a question is bounded");
    return strict_verdict;
}

/* Random policies have none, since their reference knows of no answers. */
static void add_ratio(l7s_action_t action)
{
    l7s_policy_t *policy = fixture_policy(&fixture, "ratio", action, 0, 0);
    policy->ratio = (l7s_ratio_t){.percent = 50, .min_requests = 2, .seconds = 60};
    fixture_count_status(policy, 400, 599);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fixture_open(&fixture, 64);
    for (uint64_t i = 0; i < IMAGES; i++) {
        uint64_t seed = i;
        fixture_reset(&fixture);
        random_config(&fixture, &seed, true);
        add_ratio(i % 2 == 0 ? L7S_ACTION_THROTTLE : L7S_ACTION_BAN);
        fixture_compile(&fixture);
        sizes[i] = fixture.image->size;
        images[i] = copy_image(fixture.image, sizes[i]);
    }
    fixture_reset(&fixture);
    for (uint64_t i = 0; i < REQUESTS; i++) {
        uint64_t seed = i;
        random_request(&fixture, &seed, &requests[i]);
        fixture_lend(&fixture, &requests[i]);
        requests[i].facts.strict = i % 2 == 0 ? answer : NULL;
    }
    return 0;
}

/* Each change is four bytes of place and four of value; the place's upper bits choose
 * width and manner, since most of what matters is a small number a little too large. */
static void change(fuzz_input_t *input, uint8_t *image, size_t size)
{
    for (unsigned i = 0; i < 16 && input->left > 0; i++) {
        uint32_t place = fuzz_number(input, 4), value = fuzz_number(input, 4), old = 0;
        size_t at = (place & 0xffffff) % size, width = 1U << (place >> 24) % 3;
        if (place >> 31 != 0) {
            at = at % sizeof(l7s_image_t);
        }
        at -= at % width;
        memcpy(&old, image + at, width);
        value += (place >> 30 & 1) != 0 ? old : 0;
        memcpy(image + at, &value, width);
    }
}

static void evaluate(const l7s_image_t *image, uint32_t seed)
{
    const char *type, *body;
    const l7s_answer_t answer = {.status = 404, .was_decided = seed >> 7 & 1};
    l7s_verdict_t verdict;
    uint32_t count;
    for (unsigned i = 0; i < 4; i++) {
        const fixture_request_t *request = &requests[(seed + i * 7) % REQUESTS];
        strict_verdict = (l7s_strict_verdict_t)((seed >> 5) % 4);
        l7s_decide(&fixture.shared, image, &request->facts, fixture.now, &verdict);
        if ((verdict.awaits & L7S_AWAITS_USER) != 0) {
            l7s_decide_user(&fixture.shared, image, &request->facts, seed >> 8 & 1,
                            fixture.now, &verdict);
        }
        l7s_decide_answer(&fixture.shared, image, &request->facts, &answer, fixture.now,
                          &verdict);
        (void)l7s_decide_address(&fixture.shared, image, &request->facts.client,
                                 L7S_MODE_ENFORCE, fixture.now, &verdict);
        (void)l7s_image_response(image, verdict.response, &type, &body);
    }
    const l7s_image_limit_t *limits = l7s_image_limits(image, &count);
    for (uint32_t i = 0; i < count; i++) {
        (void)l7s_image_limit(image, limits[i].id);
    }
    (void)l7s_image_limit(image, seed);
    if (l7s_image_response(image, "busy", &type, &body)) {
        fuzz_must(strlen(type) + strlen(body) < L7S_IMAGE_MAX, "texts end");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    unsigned number = fuzz_number(&input, 1) % IMAGES;
    uint32_t seed = fuzz_number(&input, 1);
    uint8_t *copy = copy_image(images[number], sizes[number]);
    change(&input, copy, sizes[number]);
    const l7s_image_t *image = l7s_image_check(copy, sizes[number]);
    if (image != NULL) {
        evaluate(image, seed);
    }
    free(copy);
    return 0;
}
