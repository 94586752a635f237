/* SPDX-License-Identifier: Apache-2.0
 *
 * See examine.h. Nothing is kept: whether a client has passed stands in its cookie.
 */
#include "examine.h"

#include "../accept.h"
#include "evaluation.h"

#include <string.h>

static const char *header_of(const l7s_request_t *request, const char *name)
{
    return request->header != NULL ? request->header(request->context, name) : NULL;
}

static l7s_bond_t bond_of(const l7s_image_t *image, const l7s_request_t *request,
                          const l7s_image_policy_t *policy,
                          const l7s_image_sanction_t *challenge)
{
    return (l7s_bond_t){
        .key = l7s_challenge_key(&image->count_key),
        .policy = l7s_image_text(image, policy->name),
        .kind = (l7s_challenge_t)challenge->kind,
        .client = request->client,
        .agent = header_of(request, "user-agent"),
    };
}

static bool is_get(const l7s_request_t *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* The way to a pass must not be barred by what asks for one. */
static bool is_our_own(const l7s_request_t *request)
{
    static const char folder[] = L7S_CHALLENGE_PATH;
    const char *name = request->path + sizeof folder - 1;

    return strncmp(request->path, folder, sizeof folder - 1) == 0 && is_get(request) &&
           (strcmp(name, "verify") == 0 || strcmp(name, "proof.js") == 0);
}

static bool is_preflight(const l7s_request_t *request)
{
    return strcmp(request->method, "OPTIONS") == 0 &&
           header_of(request, "access-control-request-method") != NULL;
}

static bool opens_a_page(const l7s_request_t *request)
{
    return is_get(request) && l7s_accept_names_html(header_of(request, "accept"));
}

l7s_exam_t l7s_examine(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    const l7s_request_t *request = evaluation->request;
    const l7s_image_sanction_t *challenge = &trip->sanction;
    l7s_bond_t bond =
        bond_of(evaluation->image, request,
                l7s_image_policy(evaluation->image, trip->policy), challenge);

    if (is_our_own(request)) {
        return L7S_EXAM_PASSED;
    }
    if (l7s_pass_in_cookies(&bond, evaluation->now.wall_ms / 1000,
                            header_of(request, "cookie"))) {
        return L7S_EXAM_PASSED;
    }
    if (opens_a_page(request)) {
        return L7S_EXAM_OWED;
    }
    return challenge->refuses && !is_preflight(request) ? L7S_EXAM_IMPOSSIBLE
                                                        : L7S_EXAM_EXEMPT;
}

void l7s_examine_begin(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                       l7s_verdict_t *verdict)
{
    const l7s_image_sanction_t *challenge = &trip->sanction;
    uint64_t now_s = evaluation->now.wall_ms / 1000;
    l7s_bond_t bond =
        bond_of(evaluation->image, evaluation->request,
                l7s_image_policy(evaluation->image, trip->policy), challenge);

    verdict->challenge.kind = challenge->kind;
    verdict->challenge.bits = challenge->bits;
    verdict->challenge.seconds = challenge->seconds;
    if (bond.kind == L7S_CHALLENGE_COOKIE) {
        l7s_pass_write(&bond, now_s, challenge->seconds, verdict->challenge.token);
    } else {
        l7s_seed_write(&bond, now_s, challenge->bits, verdict->challenge.token);
    }
}

/* --- what comes back --- */

/* The policy's challenge, be it its own action or a step; NULL: it makes none. */
static const l7s_image_sanction_t *challenge_of(const l7s_image_t *image,
                                                const l7s_image_policy_t *policy)
{
    const l7s_image_step_t *steps = l7s_image_section(image, L7S_SECTION_STEPS);

    if (policy->action == L7S_ACTION_CHALLENGE) {
        return &policy->sanction;
    }
    for (uint32_t i = 0; i < policy->steps.count; i++) {
        const l7s_image_sanction_t *sanction = &steps[policy->steps.first + i].sanction;
        if (sanction->action == L7S_ACTION_CHALLENGE) {
            return sanction;
        }
    }
    return NULL;
}

l7s_proof_result_t l7s_challenge_redeem(const l7s_image_t *image,
                                        const l7s_request_t *request,
                                        const l7s_proof_t *proof, l7s_now_t now,
                                        l7s_ticket_t *out)
{
    uint32_t index = l7s_names_index(image, &image->policy_names, proof->policy);
    const l7s_image_policy_t *policy =
        index != L7S_NONE ? l7s_image_policy(image, index) : NULL;
    const l7s_image_sanction_t *challenge =
        policy != NULL ? challenge_of(image, policy) : NULL;
    l7s_bond_t bond;

    out->pass[0] = '\0';
    if (challenge == NULL) {
        return L7S_PROOF_WRONG;
    }
    bond = bond_of(image, request, policy, challenge);
    if (l7s_pass_in_cookies(&bond, now.wall_ms / 1000, header_of(request, "cookie"))) {
        return L7S_PROOF_HOLDS;
    }
    if (bond.kind == L7S_CHALLENGE_COOKIE) {
        return L7S_PROOF_NO_COOKIE;
    }
    if (!l7s_seed_is_solved(&bond, now.wall_ms / 1000, challenge->bits, proof->seed,
                            proof->nonce)) {
        return L7S_PROOF_WRONG;
    }
    out->seconds = challenge->seconds;
    l7s_pass_write(&bond, now.wall_ms / 1000, challenge->seconds, out->pass);
    return L7S_PROOF_HOLDS;
}
