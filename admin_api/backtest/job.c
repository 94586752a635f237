/* SPDX-License-Identifier: Apache-2.0
 *
 * See job.h. A backtest takes up to some hundred megabytes, so there is one at a time.
 */
#include "job.h"

#include "../worker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct admin_jobs {
    atomic_bool busy, stopping;
    bool started; /* the worker has to be joined */
    admin_worker_t worker;
    /* Of the job in the worker. */
    admin_job_t job;
    admin_report_t *report;
};

l7s_status_t admin_jobs_create(admin_jobs_t **out)
{
    admin_jobs_t *jobs = calloc(1, sizeof *jobs);

    if (jobs == NULL) {
        return L7S_NO_MEMORY;
    }
    *out = jobs;
    return L7S_OK;
}

void admin_jobs_stop(admin_jobs_t *jobs)
{
    if (jobs == NULL) {
        return;
    }
    atomic_store(&jobs->stopping, true);
    while (atomic_load(&jobs->busy)) {
        usleep(10000);
    }
    if (jobs->started) {
        admin_worker_stop(&jobs->worker);
    }
    free(jobs);
}

void admin_job_clear(admin_job_t *job)
{
    json_decref(job->document);
    if (job->fd >= 0) {
        close(job->fd);
    }
    *job = (admin_job_t){.fd = -1};
}

/* One at a time, and none once the daemon stops. */
static bool take_turn(admin_jobs_t *jobs)
{
    bool nobody = false;

    return !atomic_load(&jobs->stopping) &&
           atomic_compare_exchange_strong(&jobs->busy, &nobody, true);
}

static bool goes_on(void *context, const admin_progress_t *progress)
{
    (void)progress;
    return !atomic_load(&((admin_jobs_t *)context)->stopping);
}

static admin_backtest_t backtest_of(const admin_job_t *job)
{
    return (admin_backtest_t){.document = job->document,
                              .fd = job->fd,
                              .format = job->format,
                              .host = job->host[0] != '\0' ? job->host : NULL};
}

json_t *admin_job_run(admin_jobs_t *jobs, admin_job_t *job, l7s_problems_t *problems,
                      l7s_status_t *status)
{
    admin_backtest_t backtest = backtest_of(job);
    json_t *result = NULL;

    backtest.progress = goes_on;
    backtest.context = jobs;
    *status = L7S_CONFLICT;
    if (take_turn(jobs)) {
        result = admin_backtest_run(&backtest, problems, status);
        atomic_store(&jobs->busy, false);
    }
    admin_job_clear(job);
    return result;
}

/* --- in the worker --- */

static bool show(void *context, const admin_progress_t *progress)
{
    admin_jobs_t *jobs = context;
    uint64_t total = jobs->job.bytes;
    json_t *line = json_pack(
        "{s:{s:I, s:I, s:I, s:i}}", "progress", "bytes", (json_int_t)progress->bytes,
        "total_bytes", (json_int_t)total, "lines", (json_int_t)progress->lines, "percent",
        total == 0 ? 100 : (int)((double)progress->bytes * 100 / (double)total));
    bool wanted = admin_report_line(jobs->report, line, true);

    json_decref(line);
    return wanted && !atomic_load(&jobs->stopping);
}

static json_t *problem_line(l7s_status_t status)
{
    const char *code = status == L7S_INVALID     ? "invalid"
                       : status == L7S_IO        ? "storage_unavailable"
                       : status == L7S_NO_MEMORY ? "out_of_memory"
                                                 : "stopping";

    return json_pack("{s:{s:s}}", "problem", "code", code);
}

static void *run(void *context)
{
    admin_jobs_t *jobs = context;
    admin_backtest_t backtest = backtest_of(&jobs->job);
    l7s_problems_t problems = {.count = 0};
    l7s_status_t status;

    backtest.progress = show;
    backtest.context = jobs;
    json_t *result = admin_backtest_run(&backtest, &problems, &status);
    json_t *line =
        result != NULL ? json_pack("{s:o}", "result", result) : problem_line(status);
    (void)admin_report_line(jobs->report, line, false);
    json_decref(line);
    admin_report_end(jobs->report);
    admin_job_clear(&jobs->job);
    atomic_store(&jobs->busy, false);
    return NULL;
}

l7s_status_t admin_job_start(admin_jobs_t *jobs, admin_job_t *job, admin_report_t *report)
{
    if (!take_turn(jobs)) {
        return L7S_CONFLICT;
    }
    if (jobs->started) { /* it is over: not busy */
        admin_worker_stop(&jobs->worker);
    }
    jobs->job = *job;
    jobs->report = report;
    l7s_status_t status = admin_worker_start(&jobs->worker, run, jobs);
    jobs->started = status == L7S_OK;
    if (status == L7S_OK) {
        *job = (admin_job_t){.fd = -1};
    } else {
        jobs->job = (admin_job_t){.fd = -1};
        atomic_store(&jobs->busy, false);
    }
    return status;
}
