/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/policies:backtest: an access log through the engine. The body is what is tried
 * and the log's path (application/json), or the log itself (text/plain), or both, the
 * first line being what is tried (application/x-ndjson).
 */
#include "../../core/schema/schema.h"
#include "../backtest/job.h"
#include "../backtest/log_file.h"
#include "../backtest/rehearsal.h"
#include "../http/media.h"
#include "../http/page.h"
#include "../http/problem.h"
#include "../store/store_objects.h"
#include "resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX ((size_t)1 << 20)

/* --- what is asked --- */

static void wrong(admin_call_t *call, const char *pointer, const char *code,
                  const char *message)
{
    l7s_problems_add(&call->problems, pointer, code, "%s", message);
    admin_call_invalid(call);
}

/* The first line of an uploaded log, and moves behind it. NULL: the call has its problem.
 */
static json_t *read_head(admin_call_t *call)
{
    char *text = malloc(HEAD_MAX);
    ssize_t size = text == NULL ? -1 : pread(call->upload, text, HEAD_MAX, 0);
    char *end = size < 0 ? NULL : memchr(text, '\n', (size_t)size);
    json_t *head = NULL;

    if (size < 0) {
        admin_call_failed(call, text == NULL ? L7S_NO_MEMORY : L7S_IO);
    } else if (end == NULL) {
        admin_call_problem(
            call, "invalid_json",
            "The first line is the request as one line of JSON, of at most "
            "1 MiB; the log follows.");
    } else {
        head = l7s_json_read(text, (size_t)(end - text), &call->problems);
        if (head == NULL) {
            admin_call_problem(call, "invalid_json", "%s",
                               call->problems.items[0].message);
        } else if (l7s_schema_validate(l7s_openapi_schema("Backtest"), head,
                                       &call->problems) != L7S_OK) {
            admin_call_invalid(call);
            json_decref(head);
            head = NULL;
        }
        (void)lseek(call->upload, end + 1 - text, SEEK_SET);
    }
    free(text);
    return head;
}

/* New reference; NULL: the call has its problem. */
static json_t *read_asked(admin_call_t *call)
{
    if (call->body != NULL) {
        return json_incref(call->body);
    }
    (void)lseek(call->upload, 0, SEEK_SET);
    return call->upload_has_head ? read_head(call) : json_object();
}

/* --- the log --- */

static int open_path(admin_call_t *call, const json_t *asked)
{
    const char *folder = call->daemon->options->backtest_folder;
    const char *path = json_string_value(json_object_get(asked, "path"));

    if (path == NULL) {
        wrong(call, "/path", "missing_key",
              "name a log below the configured folder, or send the log as text/plain");
        return -1;
    }
    if (folder == NULL) {
        wrong(call, "/path", "not_allowed",
              "no folder of logs is configured (backtest.folder)");
        return -1;
    }
    int fd = admin_log_file_open(folder, path);
    if (fd < 0) {
        wrong(call, "/path", errno == ENOENT ? "not_found" : "not_allowed",
              errno == ENOENT
                  ? "there is no such log"
                  : "must be a regular file below the folder of logs, without "
                    "\"..\" and symbolic links");
    }
    return fd;
}

/* What comes of a dry run: everything but the log. */
static int open_log(admin_call_t *call, const json_t *asked)
{
    int fd = call->body != NULL                       ? open_path(call, asked)
             : json_object_get(asked, "path") == NULL ? dup(call->upload)
                                                      : -1;

    if (fd < 0 && call->status == 0) {
        wrong(call, "/path", "not_allowed", "the log comes with the request");
    }
    if (fd >= 0 && call->dry_run) {
        close(fd);
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    return fd;
}

/* --- what is tried --- */

static json_t *read_tried(admin_call_t *call, const json_t *asked)
{
    int64_t revision;
    json_t *stored = admin_config_document(call->daemon->store, &revision);
    json_t *document = stored == NULL ? NULL : admin_rehearsal_document(stored, asked);
    l7s_config_t *config = NULL;

    json_decref(stored);
    if (document == NULL) {
        admin_call_failed(call, L7S_IO);
        return NULL;
    }
    if (l7s_config_parse(document, &call->problems, &config) != L7S_OK) {
        admin_call_invalid(call);
        json_decref(document);
        return NULL;
    }
    l7s_config_free(config);
    return document;
}

/* --- the answer --- */

static void answer_busy(admin_call_t *call)
{
    admin_call_problem(call, "busy", "Another backtest is running.");
    call->retry_after_seconds = 5;
}

static void answer_failed(admin_call_t *call, l7s_status_t status)
{
    if (status == L7S_CONFLICT) {
        answer_busy(call);
    } else if (status == L7S_STALE) {
        admin_call_problem(call, "stopping", "The daemon is stopping.");
        call->retry_after_seconds = 5;
    } else {
        admin_call_failed(call, status);
    }
}

static void answer_at_once(admin_call_t *call, admin_job_t *job)
{
    l7s_status_t status;
    json_t *result = admin_job_run(call->daemon->jobs, job, &call->problems, &status);

    if (result != NULL) {
        admin_call_reply(call, 200, result);
    } else {
        answer_failed(call, status);
    }
}

static void answer_in_lines(admin_call_t *call, admin_job_t *job)
{
    admin_report_t *report = admin_report_create();
    l7s_status_t status =
        report == NULL ? L7S_NO_MEMORY : admin_job_start(call->daemon->jobs, job, report);

    if (status == L7S_OK) {
        call->report = report;
        call->status = 200;
        call->content_type = "application/x-ndjson";
        return;
    }
    if (report != NULL) {
        admin_report_end(report);
        admin_report_drop(report);
    }
    answer_failed(call, status);
}

static uint64_t bytes_of(int fd)
{
    struct stat about;

    return fstat(fd, &about) == 0 ? (uint64_t)about.st_size : 0;
}

static bool fill_job(admin_call_t *call, const json_t *asked, admin_job_t *job)
{
    const char *format = json_string_value(json_object_get(asked, "format"));
    const char *host = json_string_value(json_object_get(asked, "host"));

    job->format = l7s_access_format(format != NULL ? format : "auto");
    snprintf(job->host, sizeof job->host, "%s", host != NULL ? host : "");
    job->document = read_tried(call, asked);
    job->fd = job->document == NULL ? -1 : open_log(call, asked);
    job->bytes = job->fd < 0 ? 0 : bytes_of(job->fd);
    return job->fd >= 0;
}

void admin_policies_backtest(admin_call_t *call)
{
    admin_job_t job = {.fd = -1};
    json_t *asked = read_asked(call);

    if (asked != NULL && fill_job(call, asked, &job)) {
        if (admin_page_wants_lines(call)) {
            answer_in_lines(call, &job);
        } else {
            answer_at_once(call, &job);
        }
    }
    admin_job_clear(&job);
    json_decref(asked);
}
