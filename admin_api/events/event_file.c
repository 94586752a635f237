/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread behind --event-log (event_file.h). It asks the event log five times a
 * second, which costs less than being woken by every event of a flood.
 */
#include "event_file.h"

#include "../log.h"
#include "../store/event_log.h"
#include "../store/store_events.h"
#include "../worker.h"
#include "event_text.h"
#include "sink.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define POSITION "event_file_position"
#define LOOK_EVERY_MS 200
#define AGAIN_MS 1000
#define LINES_MAX 64 /* read at once: nothing is written while a query runs */
#define COMPLAIN_EVERY_MS 60000

typedef struct {
    int64_t id;
    char *text; /* owned */
    size_t size;
} line_t;

struct admin_event_file {
    admin_daemon_t *daemon;
    admin_worker_t worker;
    admin_sink_t *sink;
    atomic_bool stopping;
    /* The thread's own. */
    admin_privacy_t privacy;
    int64_t position; /* the last event that was written … */
    int64_t read_to;  /* … and read */
    line_t lines[LINES_MAX];
    size_t next, count; /* the first that has not been written, and behind the last */
    uint64_t complained_ms;
};

/* ---- reading ---- */

static void pass_over(int64_t id, const char *why)
{
    admin_log(ADMIN_ERROR, "L7S3451", "Event %" PRId64 " is not in the event log: %s.",
              id, why);
}

static bool make_line(const admin_event_file_t *file, const admin_event_t *event,
                      line_t *out)
{
    json_t *document = admin_event_document(event, &file->privacy);
    size_t size = document == NULL ? 0 : json_dumpb(document, NULL, 0, JSON_COMPACT);
    *out = (line_t){event->id, size == 0 ? NULL : malloc(size + 1), size + 1};
    if (out->text != NULL) {
        json_dumpb(document, out->text, size, JSON_COMPACT);
        out->text[size] = '\n';
    }
    json_decref(document);
    return out->text != NULL;
}

static bool take(void *context, const admin_event_t *event)
{
    admin_event_file_t *file = context;
    if (make_line(file, event, &file->lines[file->count])) {
        file->count++;
    } else {
        pass_over(event->id, "it is damaged, or memory ran out");
    }
    return true;
}

static void drop_lines(admin_event_file_t *file)
{
    while (file->next < file->count) {
        free(file->lines[file->next++].text);
    }
    file->next = file->count = 0;
}

/* Retention went on while the file could not be written, or the history is another. */
static void find_position(admin_event_file_t *file, int64_t first, int64_t last)
{
    bool lost = file->position < first - 1;
    if (lost && file->position > 0) {
        admin_log(ADMIN_ERROR, "L7S3452",
                  "Events %" PRId64 " to %" PRId64 " are not in the event log: they "
                  "outlived their retention before it could be written.",
                  file->position + 1, first - 1);
    }
    if (lost || file->position > last) {
        file->position = lost ? first - 1 : last;
    }
}

/* The next lines, when the ones before have been written. */
static l7s_status_t read_lines(admin_event_file_t *file, bool *more)
{
    int64_t first, last;
    admin_store_t *store = file->daemon->store;
    drop_lines(file);
    l7s_status_t status = admin_privacy_read(store, &file->privacy);
    if (status == L7S_OK) {
        status = admin_event_range(store, &first, &last);
    }
    if (status != L7S_OK) {
        return status;
    }
    find_position(file, first, last);
    file->read_to = file->position;
    return admin_event_each(store, ADMIN_EVENT_ALL, LINES_MAX, &file->read_to, more, take,
                            file);
}

/* ---- writing ---- */

static void complain(admin_event_file_t *file, const char *why)
{
    uint64_t mono_ms = admin_mono_ms();
    if (file->complained_ms == 0 || mono_ms - file->complained_ms >= COMPLAIN_EVERY_MS) {
        file->complained_ms = mono_ms;
        admin_log(ADMIN_WARN, "L7S3450",
                  "The event log is behind, it goes on when it can be written again: %s.",
                  why);
    }
}

static l7s_status_t write_line(admin_event_file_t *file, const line_t *line)
{
    char why[256] = "it takes no more";
    l7s_status_t status = admin_sink_write(file->sink, line->text, line->size, why);
    if (status == L7S_TOO_BIG) {
        pass_over(line->id, "syslog does not take messages of this size");
        return L7S_OK;
    }
    if (status != L7S_OK) {
        complain(file, why);
    }
    return status;
}

static l7s_status_t write_lines(admin_event_file_t *file)
{
    l7s_status_t status = L7S_OK;
    while (file->next < file->count && status == L7S_OK) {
        line_t *line = &file->lines[file->next];
        status = write_line(file, line);
        if (status == L7S_OK) {
            file->position = line->id;
            free(line->text);
            file->next++;
        }
    }
    if (status == L7S_OK) {
        file->position = file->read_to;
    }
    return status;
}

/* ---- the thread ---- */

static void keep_position(admin_event_file_t *file)
{
    admin_store_t *store = file->daemon->store;
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return; /* the lines come twice after a crash */
    }
    if (admin_number_set(store, POSITION, file->position) != L7S_OK) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
    } else if (admin_store_commit(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return;
    }
}

/* True: there may be more, and it can be written. */
static bool work_round(admin_event_file_t *file, l7s_status_t *status)
{
    bool more = file->next < file->count;
    int64_t before = file->position;
    *status = more ? L7S_OK : read_lines(file, &more);
    if (*status == L7S_OK) {
        *status = write_lines(file);
    }
    if (file->position != before) {
        keep_position(file);
    }
    return more && *status == L7S_OK;
}

static void *run(void *context)
{
    admin_event_file_t *file = context;
    admin_worker_t *worker = &file->worker;
    l7s_status_t status;
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        pthread_mutex_unlock(&worker->lock);
        bool more = work_round(file, &status);
        pthread_mutex_lock(&worker->lock);
        if (!more) {
            uint64_t pause_ms = status == L7S_IO ? AGAIN_MS : LOOK_EVERY_MS;
            admin_worker_sleep(worker, admin_mono_ms() + pause_ms);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    (void)work_round(file, &status); /* what happened until the end */
    return NULL;
}

/* ---- life cycle ---- */

static void destroy(admin_event_file_t *file)
{
    admin_sink_free(file->sink);
    drop_lines(file);
    free(file);
}

l7s_status_t admin_event_file_start(admin_daemon_t *daemon, admin_event_file_t **out)
{
    *out = NULL;
    if (daemon->options->event_log == NULL) {
        return L7S_OK;
    }
    admin_event_file_t *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return L7S_NO_MEMORY;
    }
    file->daemon = daemon;
    file->sink = admin_sink_create(daemon->options->event_log, &file->stopping);
    file->position = admin_number_get(daemon->store, POSITION, 0);
    l7s_status_t status =
        file->sink == NULL ? L7S_NO_MEMORY : admin_worker_start(&file->worker, run, file);
    if (status != L7S_OK) {
        destroy(file);
        return status;
    }
    *out = file;
    return L7S_OK;
}

void admin_event_file_stop(admin_event_file_t *file)
{
    if (file != NULL) {
        atomic_store(&file->stopping, true);
        admin_worker_stop(&file->worker);
        destroy(file);
    }
}

void admin_event_file_reopen(admin_event_file_t *file)
{
    if (file != NULL) {
        admin_sink_reopen(file->sink);
    }
}
