/* SPDX-License-Identifier: Apache-2.0
 *
 * See report.h. Suspending and resuming happen under the report's lock, so no wake-up is
 * lost; a client that has gone is noticed when the next line is sent.
 */
#include "report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (32 * 1024)
#define UNREAD ((size_t)64 << 10)     /* beyond that lines are left out */
#define UNREAD_MAX ((size_t)32 << 20) /* beyond that there is no reader */

struct admin_report {
    pthread_mutex_t lock; /* for everything */
    unsigned shares;      /* reader and writer */
    bool suspended, ended, gone;
    struct MHD_Connection *connection;
    size_t used, capacity;
    char *unread;
};

admin_report_t *admin_report_create(void)
{
    admin_report_t *report = calloc(1, sizeof *report);

    if (report != NULL) {
        pthread_mutex_init(&report->lock, NULL);
        report->shares = 2;
    }
    return report;
}

/* With the lock held, which it gives back. */
static void give_up_share(admin_report_t *report)
{
    bool last = --report->shares == 0;

    pthread_mutex_unlock(&report->lock);
    if (last) {
        pthread_mutex_destroy(&report->lock);
        free(report->unread);
        free(report);
    }
}

/* --- the writer --- */

static bool make_room(admin_report_t *report, size_t size)
{
    size_t capacity = report->capacity == 0 ? 4096 : report->capacity;

    while (capacity < report->used + size) {
        capacity *= 2;
    }
    char *grown = capacity > UNREAD_MAX ? NULL : realloc(report->unread, capacity);
    if (grown == NULL) {
        return false;
    }
    report->unread = grown;
    report->capacity = capacity;
    return true;
}

static void wake(admin_report_t *report)
{
    if (report->suspended) {
        report->suspended = false;
        MHD_resume_connection(report->connection);
    }
}

bool admin_report_line(admin_report_t *report, const json_t *line, bool may_be_left_out)
{
    char *text = json_dumps(line, JSON_COMPACT);
    size_t size = text == NULL ? 0 : strlen(text);
    bool good;

    pthread_mutex_lock(&report->lock);
    if (may_be_left_out && report->used > UNREAD) {
        good = !report->gone;
    } else {
        good = text != NULL && !report->gone && make_room(report, size + 1);
        if (good) {
            memcpy(report->unread + report->used, text, size);
            report->unread[report->used + size] = '\n';
            report->used += size + 1;
            wake(report);
        }
    }
    pthread_mutex_unlock(&report->lock);
    free(text);
    return good;
}

void admin_report_end(admin_report_t *report)
{
    pthread_mutex_lock(&report->lock);
    report->ended = true;
    wake(report);
    give_up_share(report);
}

/* --- the reader --- */

static ssize_t read_report(void *context, uint64_t position, char *out, size_t size)
{
    admin_report_t *report = context;
    ssize_t count = 0;

    (void)position;
    pthread_mutex_lock(&report->lock);
    if (report->used > 0) {
        count = (ssize_t)(report->used < size ? report->used : size);
        memcpy(out, report->unread, (size_t)count);
        report->used -= (size_t)count;
        memmove(report->unread, report->unread + count, report->used);
    } else if (report->ended) {
        count = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        report->suspended = true;
        MHD_suspend_connection(report->connection);
    }
    pthread_mutex_unlock(&report->lock);
    return count;
}

static void leave(void *context)
{
    admin_report_t *report = context;

    pthread_mutex_lock(&report->lock);
    report->gone = true;
    give_up_share(report);
}

struct MHD_Response *admin_report_response(admin_report_t *report,
                                           struct MHD_Connection *connection)
{
    report->connection = connection;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK, read_report, report, leave);
    if (response == NULL) {
        leave(report);
    }
    return response;
}

void admin_report_drop(admin_report_t *report)
{
    leave(report);
}
