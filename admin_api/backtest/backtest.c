/* SPDX-License-Identifier: Apache-2.0
 *
 * See backtest.h. httpd writes a line when a request has ended and names the time at
 * which it began, so times go back now and then; the clock does not, and says how often.
 */
#include "backtest.h"

#include "../../core/json/json_time.h"
#include "../../core/path.h"
#include "../worker.h"
#include "blind.h"
#include "feed.h"
#include "tally.h"

#include <stdlib.h>
#include <string.h>

/* httpd's default LimitRequestLine and a NUL. */
#define PATH_MAX_BYTES 8191
#define PROGRESS_MS 200
#define AHEAD 8 /* lines after which memory has answered */

typedef struct {
    const admin_backtest_t *backtest;
    admin_rehearsal_t rehearsal;
    admin_tally_t *tally;
    admin_feed_t *feed;
    const admin_batch_t *batch; /* the last one: it has the sums */
    l7s_scratch_t *scratch;
    l7s_memo_t memo;
    const l7s_access_t *access; /* of the batch */
    l7s_answer_t answer;
    admin_told_t told;
    uint64_t out_of_order;
    uint64_t recorded, same; /* lines that say what the shield did, and so do we */
    uint64_t first_us, last_us;
    uint64_t progress_ms;
    char path[PATH_MAX_BYTES];
} run_t;

/* --- a line as the engine wants it --- */

static const char *find_header(void *context, const char *name)
{
    const l7s_access_t *access = ((run_t *)context)->access;
    const char *value = strcmp(name, "user-agent") == 0 ? access->user_agent
                        : strcmp(name, "referer") == 0  ? access->referer
                        : strcmp(name, "host") == 0     ? access->host
                                                        : "";

    return value[0] != '\0' ? value : NULL;
}

static l7s_scratch_t *find_scratch(void *context)
{
    run_t *run = context;

    if (run->scratch == NULL) {
        run->scratch = l7s_scratch_create();
    }
    return run->scratch;
}

static l7s_request_t request_of(run_t *run)
{
    const l7s_access_t *access = run->access;
    const char *otherwise = run->backtest->host != NULL ? run->backtest->host : "";
    bool signed_in = access->user[0] != '\0' && access->status != 401;

    l7s_request_t request = {.client = access->client,
                             .method = access->method,
                             .host = access->host[0] != '\0' ? access->host : otherwise,
                             .target = access->target,
                             .user = signed_in ? access->user : NULL,
                             .mode = L7S_MODE_ENFORCE,
                             .header = find_header,
                             .context = run,
                             .memo = &run->memo,
                             .generation = 1,
                             .scratch = find_scratch};

    request.path =
        l7s_path_read(access->target, run->path, sizeof run->path, &request.shape);
    return request;
}

/* In its place, since most of it is room for signals. */
static void read_answer(run_t *run)
{
    const l7s_access_t *access = run->access;
    l7s_answer_t *answer = &run->answer;

    answer->status = access->status;
    answer->was_decided = !access->malformed;
    answer->amounts[L7S_COST_BYTES_IN] = access->bytes_in;
    answer->amounts[L7S_COST_BYTES_OUT] = access->bytes_out;
    answer->amounts[L7S_COST_BUSY_MS] = (access->duration_us + 500) / 1000;
    answer->signals.count = 0;
    if (access->signals[0] != '\0') {
        l7s_signals_read(&answer->signals, access->signals);
    }
}

/* --- a line --- */

static void compare(run_t *run, const l7s_verdict_t *verdict)
{
    const char *action = verdict->outcome == L7S_OUTCOME_ADMITTED ? "" : verdict->action;

    run->recorded++;
    run->same += strcmp(action, run->access->action) == 0;
}

static l7s_status_t replay(run_t *run)
{
    l7s_replay_t *node = run->rehearsal.replay;
    uint64_t time_us = run->access->time_us;
    l7s_request_t request = request_of(run);
    l7s_verdict_t verdict;

    read_answer(run);
    run->out_of_order += time_us < run->last_us;
    run->first_us = run->last_us == 0 ? time_us : run->first_us;
    run->last_us = time_us > run->last_us ? time_us : run->last_us;
    l7s_status_t status = l7s_replay_move(node, (l7s_now_t){time_us, time_us / 1000});
    if (run->access->came && !run->access->malformed) {
        l7s_replay_request(node, &request, &run->answer, &verdict);
    } else {
        l7s_replay_answer(node, &request, &run->answer, &verdict);
    }
    if (run->access->full) {
        compare(run, &verdict);
    }
    run->told.hosts |= request.host[0] != '\0';
    run->told.full |= run->access->full;
    admin_tally_add(run->tally, &request, &run->answer, &verdict);
    return status;
}

static bool goes_on(run_t *run)
{
    const admin_backtest_t *backtest = run->backtest;
    uint64_t now_ms = admin_mono_ms();

    if (backtest->progress == NULL || now_ms - run->progress_ms < PROGRESS_MS) {
        return true;
    }
    run->progress_ms = now_ms;
    admin_progress_t progress = {run->batch->bytes, run->batch->lines};
    return backtest->progress(backtest->context, &progress);
}

static l7s_status_t replay_batch(run_t *run)
{
    l7s_status_t status = L7S_OK;

    for (size_t i = 0; i < run->batch->count && status == L7S_OK; i++) {
        run->access = &run->batch->accesses[i];
        if (i + AHEAD < run->batch->count) {
            admin_tally_expect(run->tally, &run->access[AHEAD].client);
        }
        status = replay(run);
    }
    return status == L7S_OK && !goes_on(run) ? L7S_STALE : status;
}

static l7s_status_t read_all(run_t *run)
{
    for (;;) {
        const admin_batch_t *batch;
        l7s_status_t status = admin_feed_next(run->feed, &batch);
        if (status != L7S_OK || batch == NULL) {
            return status;
        }
        run->batch = batch;
        status = replay_batch(run);
        if (status != L7S_OK) {
            return status;
        }
    }
}

/* --- the result --- */

static json_t *describe_log(const run_t *run)
{
    json_t *skipped = json_object();

    for (unsigned i = L7S_LINE_GOOD + 1; i < L7S_LINE_RESULTS; i++) {
        json_object_set_new(skipped, l7s_line_result_name((l7s_line_result_t)i),
                            json_integer((json_int_t)run->batch->skipped[i]));
    }
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I}", "bytes",
                     (json_int_t)run->batch->bytes, "lines",
                     (json_int_t)run->batch->lines, "skipped", skipped, "first_at",
                     l7s_json_time(run->first_us / 1000), "last_at",
                     l7s_json_time(run->last_us / 1000), "out_of_order",
                     (json_int_t)run->out_of_order);
}

static json_t *describe(const run_t *run)
{
    json_t *out = json_pack("{s:o}", "log", describe_log(run));
    json_t *tally = admin_tally_json(run->tally);

    json_object_update(out, tally);
    json_decref(tally);
    json_object_set_new(out, "recorded",
                        run->told.full ? json_pack("{s:I, s:I}", "requests",
                                                   (json_int_t)run->recorded, "same",
                                                   (json_int_t)run->same)
                                       : json_null());
    json_object_set_new(out, "not_told", admin_blind(run->rehearsal.config, &run->told));
    return out;
}

/* --- the whole --- */

static l7s_status_t open_all(run_t *run, l7s_problems_t *problems)
{
    l7s_status_t status =
        admin_rehearsal_open(run->backtest->document, ADMIN_BACKTEST_MEMORY,
                             (l7s_now_t){0, 0}, problems, &run->rehearsal);

    if (status != L7S_OK) {
        return status;
    }
    run->tally = admin_tally_create(&run->rehearsal);
    return run->tally == NULL
               ? L7S_NO_MEMORY
               : admin_feed_start(run->backtest->fd, run->backtest->format, &run->feed);
}

static void close_all(run_t *run)
{
    admin_feed_stop(run->feed);
    admin_tally_free(run->tally);
    admin_rehearsal_close(&run->rehearsal);
    if (run->scratch != NULL) {
        l7s_scratch_free(run->scratch);
    }
    free(run);
}

json_t *admin_backtest_run(const admin_backtest_t *backtest, l7s_problems_t *problems,
                           l7s_status_t *status)
{
    run_t *run = calloc(1, sizeof *run);
    json_t *out = NULL;

    if (run == NULL) {
        *status = L7S_NO_MEMORY;
        return NULL;
    }
    run->backtest = backtest;
    *status = open_all(run, problems);
    if (*status == L7S_OK) {
        *status = read_all(run);
    }
    if (*status == L7S_OK) {
        out = describe(run);
        *status = out == NULL ? L7S_NO_MEMORY : L7S_OK;
    }
    close_all(run);
    return out;
}
