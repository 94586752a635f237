/* SPDX-License-Identifier: Apache-2.0
 *
 * See replay.h. The image is compiled again in its place when something in it expires:
 * what is left out then makes it smaller, so its memory is allocated once.
 */
#include "replay.h"

#include "../decide/evaluation.h"
#include "compile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define IMAGE_ALIGNMENT 64
/* From this size on a segment is worth large pages: keys are met all over it. */
#define LARGE ((size_t)64 << 20)
/* Freeing expired bans looks at all of them; they tell nobody anything before. */
#define BANS_EVERY_MS 60000

struct l7s_replay {
    const l7s_config_t *config;
    l7s_hashkey_t count_key;
    void *image_memory, *segment;
    size_t image_capacity, segment_size;
    const l7s_image_t *image;
    l7s_shared_t shared;
    l7s_now_t now;
    uint64_t expiry_ms; /* when something in the image expires; 0: never */
    uint64_t quiet_ms;  /* no episode ends before */
    uint64_t bans_ms;   /* when to look for expired bans */
    bool has_decided;   /* the rest is valid */
    l7s_request_t head; /* the last request, as at its head */
    l7s_token_t tokens[L7S_TOKENS_PER_REQUEST];
    uint32_t awaiting[L7S_POLICIES_MAX];
    l7s_evaluation_t evaluation;
};

/* --- image --- */

static l7s_status_t compile(l7s_replay_t *replay)
{
    size_t size = 0;
    l7s_status_t status = l7s_image_compile(
        replay->config, &replay->count_key, 1, replay->now.wall_ms, &replay->shared.stats,
        replay->image_memory, replay->image_capacity, &size, &replay->expiry_ms);

    if (status == L7S_OK) {
        replay->image = l7s_image_check(replay->image_memory, size);
        status = replay->image != NULL ? L7S_OK : L7S_INVALID;
    }
    return status;
}

static l7s_status_t make_image(l7s_replay_t *replay)
{
    size_t size = 0;
    l7s_status_t status =
        l7s_image_compile(replay->config, &replay->count_key, 1, replay->now.wall_ms,
                          NULL, NULL, 0, &size, &replay->expiry_ms);

    if (status != L7S_TOO_BIG || size == SIZE_MAX) {
        return status == L7S_OK ? L7S_IO : status;
    }
    size = (size + IMAGE_ALIGNMENT - 1) / IMAGE_ALIGNMENT * IMAGE_ALIGNMENT;
    replay->image_memory = aligned_alloc(IMAGE_ALIGNMENT, size);
    if (replay->image_memory == NULL) {
        return L7S_NO_MEMORY;
    }
    replay->image_capacity = size;
    return compile(replay);
}

/* --- life --- */

static l7s_status_t make_segment(l7s_replay_t *replay, const l7s_replay_setup_t *setup)
{
    void *memory = mmap(NULL, setup->memory, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return L7S_NO_MEMORY;
    }
    replay->segment = memory;
    replay->segment_size = setup->memory;
    if (setup->memory >= LARGE) {
        (void)madvise(memory, setup->memory, MADV_HUGEPAGE); /* faster, or as before */
    }
    l7s_status_t status = l7s_segment_format(memory, setup->memory, setup->random);
    if (status == L7S_OK) {
        status = l7s_segment_attach(memory, setup->memory, &replay->shared);
    }
    if (status == L7S_OK) {
        atomic_store(&replay->shared.header->mode, (uint32_t)setup->mode);
    }
    return status;
}

l7s_status_t l7s_replay_create(const l7s_config_t *config,
                               const l7s_replay_setup_t *setup, l7s_replay_t **out)
{
    l7s_replay_t *replay = calloc(1, sizeof *replay);

    if (replay == NULL) {
        return L7S_NO_MEMORY;
    }
    replay->config = config;
    replay->count_key = setup->count_key;
    replay->now = setup->now;
    l7s_status_t status = make_segment(replay, setup);
    if (status == L7S_OK) {
        status = make_image(replay);
    }
    if (status != L7S_OK) {
        l7s_replay_free(replay);
        return status;
    }
    *out = replay;
    return L7S_OK;
}

void l7s_replay_free(l7s_replay_t *replay)
{
    if (replay == NULL) {
        return;
    }
    if (replay->segment != NULL) {
        munmap(replay->segment, replay->segment_size);
    }
    free(replay->image_memory);
    free(replay);
}

const l7s_image_t *l7s_replay_image(const l7s_replay_t *replay)
{
    return replay->image;
}

const l7s_shared_t *l7s_replay_shared(const l7s_replay_t *replay)
{
    return &replay->shared;
}

l7s_now_t l7s_replay_now(const l7s_replay_t *replay)
{
    return replay->now;
}

/* --- the clock --- */

/* Ends what has been quiet for long enough, and finds out when the next one could be. An
 * episode that opens later cannot be before that. */
static void end_episodes(l7s_replay_t *replay)
{
    const l7s_episodes_t *episodes = &replay->shared.episodes;
    uint64_t now_ms = replay->now.wall_ms, next_ms = now_ms + L7S_EPISODE_QUIET_MS;

    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        l7s_episode_t *episode = &episodes->entries[i];
        if (atomic_load_explicit(&episode->key_lo, memory_order_relaxed) == 0) {
            continue;
        }
        uint64_t quiet_ms = atomic_load_explicit(&episode->last_ms, memory_order_relaxed);
        quiet_ms += L7S_EPISODE_QUIET_MS;
        if (quiet_ms <= now_ms) {
            l7s_episode_close(episodes, episode);
        } else if (quiet_ms < next_ms) {
            next_ms = quiet_ms;
        }
    }
    replay->quiet_ms = next_ms;
}

static void pass_over(void *context, const l7s_ban_t *ban)
{
    (void)context;
    (void)ban;
}

static void free_bans(l7s_replay_t *replay)
{
    if (l7s_bans_any(&replay->shared.bans)) {
        l7s_bans_visit(&replay->shared.bans, replay->now, pass_over, NULL);
    }
    replay->bans_ms = replay->now.wall_ms + BANS_EVERY_MS;
}

l7s_status_t l7s_replay_move(l7s_replay_t *replay, l7s_now_t now)
{
    if (now.mono_us <= replay->now.mono_us) {
        return L7S_OK;
    }
    replay->now = now;
    if (now.wall_ms >= replay->quiet_ms) {
        end_episodes(replay);
    }
    if (now.wall_ms >= replay->bans_ms) {
        free_bans(replay);
    }
    return replay->expiry_ms != 0 && now.wall_ms >= replay->expiry_ms ? compile(replay)
                                                                      : L7S_OK;
}

/* --- a request --- */

/* A request with the room that this node has for one. */
static l7s_request_t with_room(l7s_replay_t *replay, const l7s_request_t *request)
{
    l7s_request_t out = *request;

    out.tokens = replay->tokens;
    out.awaiting = replay->awaiting;
    return out;
}

/* Whoever could not sign in is known to be nobody only when that has been answered. */
void l7s_replay_request(l7s_replay_t *replay, const l7s_request_t *request,
                        const l7s_answer_t *answer, l7s_verdict_t *verdict)
{
    l7s_request_t known = with_room(replay, request);

    replay->head = known;
    replay->head.user = NULL;
    replay->has_decided = true;
    l7s_decide_in(&replay->evaluation, &replay->shared, replay->image, &replay->head,
                  replay->now, verdict);
    if ((verdict->awaits & L7S_AWAITS_USER) != 0) {
        l7s_decide_user(&replay->shared, replay->image, &known, known.user == NULL,
                        replay->now, verdict);
    }
    if (answer != NULL && verdict->awaits != 0) {
        l7s_decide_answer(&replay->shared, replay->image, &known, answer, replay->now,
                          verdict);
    }
    l7s_decide_over(&replay->shared, &verdict->held);
}

void l7s_replay_answer(l7s_replay_t *replay, const l7s_request_t *request,
                       const l7s_answer_t *answer, l7s_verdict_t *verdict)
{
    l7s_request_t known = with_room(replay, request);

    replay->has_decided = false;
    verdict->outcome = L7S_OUTCOME_ADMITTED;
    verdict->awaits = 0;
    verdict->awaiting = 0;
    l7s_decide_answer(&replay->shared, replay->image, &known, answer, replay->now,
                      verdict);
}

/* --- demand --- */

/* The policies in front of this one were asked. L7S_NONE: none of them. */
static uint32_t asked_end(const l7s_replay_t *replay, const l7s_verdict_t *verdict)
{
    if (verdict->outcome != L7S_OUTCOME_ALLOW_LISTED) {
        return l7s_image_policies(replay->image);
    }
    return l7s_names_index(replay->image, &replay->image->policy_names, verdict->policy);
}

static void visit_policy(l7s_replay_t *replay, uint32_t index, const l7s_answer_t *answer,
                         l7s_demanded_fn visit, void *context)
{
    l7s_evaluation_t *evaluation = &replay->evaluation;
    const l7s_image_policy_t *policy = l7s_image_policy(replay->image, index);
    l7s_demanded_t demanded = {.row = policy->stats_row, .tokens = 1};
    const l7s_hash128_t *digest;

    if (policy->by_user || policy->signals.count > 0 || policy->plans.count > 0 ||
        !l7s_matcher_policy(&evaluation->matcher, index)) {
        return;
    }
    digest = l7s_tuples_digest(&evaluation->tuples, policy->spec);
    if (policy->deferred) {
        demanded.tokens =
            answer != NULL ? l7s_answer_amount(replay->image, policy, answer) : 0;
    }
    if (digest == NULL || demanded.tokens == 0) {
        return;
    }
    l7s_run_t limits = l7s_plan_limits(&evaluation->matcher, policy);
    for (uint32_t i = 0; i < limits.count; i++) {
        demanded.place = i;
        demanded.key = l7s_hash128_xor(
            *digest, l7s_limit_at(evaluation, limits.first + i)->identity);
        visit(context, &demanded);
    }
}

void l7s_replay_demand(l7s_replay_t *replay, const l7s_answer_t *answer,
                       const l7s_verdict_t *verdict, l7s_demanded_fn visit, void *context)
{
    uint32_t end = asked_end(replay, verdict);

    if (!replay->has_decided || end == L7S_NONE) {
        return;
    }
    l7s_evaluation_walk(&replay->evaluation);
    for (uint32_t word = 0; word * 64 < end; word++) {
        uint64_t bits = replay->evaluation.matcher.candidates[word];
        for (; bits != 0; bits &= bits - 1) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (index >= end) {
                return;
            }
            visit_policy(replay, index, answer, visit, context);
        }
    }
}
