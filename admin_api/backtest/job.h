/* SPDX-License-Identifier: Apache-2.0
 *
 * One backtest at a time, in a thread that is not the API's: how far it has got, then its
 * result go into a report.
 */
#ifndef ADMIN_JOB_H
#define ADMIN_JOB_H

#include "../http/report.h"
#include "backtest.h"

typedef struct admin_jobs admin_jobs_t;

L7S_MUST_USE l7s_status_t admin_jobs_create(admin_jobs_t **out);
/* The job that runs gives up. */
void admin_jobs_stop(admin_jobs_t *jobs);

/* What a job owns; nobody else may touch it any more. */
typedef struct {
    json_t *document;
    int fd;
    uint64_t bytes; /* of the log */
    l7s_access_format_t format;
    char host[256]; /* "": none */
} admin_job_t;
void admin_job_clear(admin_job_t *job);

/* Runs it here and now, and clears it. As admin_backtest_run; L7S_CONFLICT: another one
 * is running, L7S_STALE: the daemon stops. */
json_t *admin_job_run(admin_jobs_t *jobs, admin_job_t *job, l7s_problems_t *problems,
                      l7s_status_t *status);

/* Starts it: lines {"progress":…}, then {"result":…} or {"problem":…} into `report`, of
 * which it takes the writer's share. Not L7S_OK: nothing was taken over. */
L7S_MUST_USE l7s_status_t admin_job_start(admin_jobs_t *jobs, admin_job_t *job,
                                          admin_report_t *report);

#endif
