/* SPDX-License-Identifier: Apache-2.0
 *
 * A node for one: a configuration, compiled, and a segment of its own, moved by a clock
 * that the caller holds. Requests pass through it as they pass through the module's
 * stages (head, user, answer), so a verdict is the one that a node would give which had
 * seen the same requests at the same times. One thread; nothing is shared with anybody.
 *
 * What a node's sync process does beside the requests is done here by the clock: episodes
 * end, bans and entries expire. Not so the guard: what it would stop is to be seen.
 */
#ifndef L7S_REPLAY_H
#define L7S_REPLAY_H

#include "../decide/answer.h"
#include "../json/config.h"

typedef struct l7s_replay l7s_replay_t;

/* `memory`: of the segment, at least L7S_SEGMENT_SIZE_MIN; its pages come into being when
 * they are touched. */
typedef struct {
    l7s_hashkey_t count_key;
    uint8_t random[48];
    size_t memory;
    l7s_mode_t mode; /* of the node */
    l7s_now_t now;
} l7s_replay_setup_t;

/* Borrows `config` until l7s_replay_free. L7S_INVALID, L7S_NO_MEMORY: no node would take
 * it. */
L7S_MUST_USE l7s_status_t l7s_replay_create(const l7s_config_t *config,
                                            const l7s_replay_setup_t *setup,
                                            l7s_replay_t **out);
void l7s_replay_free(l7s_replay_t *replay);

/* Valid until the next l7s_replay_move. */
const l7s_image_t *l7s_replay_image(const l7s_replay_t *replay);
/* The statistics have a row for each policy, by its name. */
const l7s_shared_t *l7s_replay_shared(const l7s_replay_t *replay);

/* The clock never goes back: an earlier time leaves it where it is. What ends or expires
 * up to `now` does so. */
L7S_MUST_USE l7s_status_t l7s_replay_move(l7s_replay_t *replay, l7s_now_t now);
l7s_now_t l7s_replay_now(const l7s_replay_t *replay);

/* Decides at the clock's time. `answer` is what the request was answered with, if it was
 * admitted; NULL: not known, then nothing is counted of it. A user is one who could sign
 * in; the others are nobody. Nothing stays in flight. */
void l7s_replay_request(l7s_replay_t *replay, const l7s_request_t *request,
                        const l7s_answer_t *answer, l7s_verdict_t *verdict);

/* The same for what was answered before any stage was asked about it, because it was no
 * request (was_decided false) or because nothing came (true). */
void l7s_replay_answer(l7s_replay_t *replay, const l7s_request_t *request,
                       const l7s_answer_t *answer, l7s_verdict_t *verdict);

/* What a limit was asked for: `key` names the counter (keyed, no outsider can choose it),
 * `place` the limit among those of its policy, whose statistics are in `row`. */
typedef struct {
    uint32_t row, place;
    l7s_hash128_t key;
    uint32_t tokens;
} l7s_demanded_t;
typedef void (*l7s_demanded_fn)(void *context, const l7s_demanded_t *demanded);

/* Right after l7s_replay_request, with its `answer`: all that the request asked for,
 * whatever the verdict was. Policies that count by user or signal, or have plans, are
 * left out, and so is who is on an allow list. */
void l7s_replay_demand(l7s_replay_t *replay, const l7s_answer_t *answer,
                       const l7s_verdict_t *verdict, l7s_demanded_fn visit,
                       void *context);

#endif
