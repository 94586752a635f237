/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/events: what happened, as a stream of server-sent events, as a long poll, or all of
 * it as lines. All read the event log behind a position; the position is all that a
 * client has to keep.
 */
#include "../events/event_text.h"
#include "../events/hub.h"
#include "../http/auth.h"
#include "../http/media.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../store/event_log.h"
#include "../worker.h"
#include "resources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SECONDS_MAX 60
#define LIMIT_MAX 1000
#define ID_MAX (INT64_MAX / 2)
/* Of one answer; a page may be shorter than its limit. */
#define ANSWER_BYTES ((size_t)256 << 10)

/* ---- what is asked for ---- */

static bool read_types(admin_call_t *call, unsigned *types)
{
    const char *name;
    *types = 0;
    for (size_t i = 0; (name = call->query_at(call, "type", i)) != NULL; i++) {
        unsigned found = admin_event_types(name);
        if (found == 0) {
            admin_call_problem(call, "invalid_parameter",
                               "type is an event's type like \"ban.added\", or all of a"
                               " kind: \"ban.*\".");
            return false;
        }
        *types |= found;
    }
    *types = *types == 0 ? ADMIN_EVENT_ALL : *types;
    return true;
}

/* What is no number is a position that nobody has. */
static int64_t position_of(const char *text)
{
    size_t size = strlen(text);
    return size == 0 || size > 18 || strspn(text, "0123456789") != size
               ? -1
               : strtoll(text, NULL, 10);
}

typedef struct {
    unsigned types;
    int64_t after, first, last;
    int64_t wait_seconds, limit;
    bool streams;
} question_t;

/* Without a position: from now on. 0: from the oldest that is kept. A client that comes
 * back says by its header where it stood, whatever its first position was. */
static bool read_question(admin_call_t *call, question_t *question)
{
    *question = (question_t){.limit = 100};
    if (admin_event_range(call->daemon->store, &question->first, &question->last) !=
        L7S_OK) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    question->streams =
        admin_media_prefers(call->accept, "text/event-stream", "application/json");
    question->after = question->last;
    if (!read_types(call, &question->types) ||
        !admin_parameter_number(call, "after", 0, ID_MAX, &question->after) ||
        !admin_parameter_number(call, "wait_seconds", 0, WAIT_SECONDS_MAX,
                                &question->wait_seconds) ||
        !admin_parameter_number(call, "limit", 1, LIMIT_MAX, &question->limit)) {
        return false;
    }
    if (call->last_event_id != NULL) {
        question->after = position_of(call->last_event_id);
    }
    if (question->after == 0) {
        question->after = question->first - 1;
    }
    return true;
}

/* Is the position one from which nothing has been lost since? */
static bool is_sound(const question_t *question)
{
    return question->after >= question->first - 1 && question->after <= question->last;
}

static void refuse_position(admin_call_t *call, const question_t *question)
{
    const char *why =
        question->after < 0 || question->after > question->last
            ? "is no position of this event log, which may be another one now"
            : "is a position whose events are not kept any more";
    char given[24];
    snprintf(given, sizeof(given), "%" PRId64, question->after);
    admin_call_problem(call, "position_too_old",
                       "\"%.32s\" %s: read the state anew and go on after %" PRId64 ".",
                       call->last_event_id != NULL ? call->last_event_id : given, why,
                       question->last);
}

static admin_subscriber_t *join(admin_call_t *call, const question_t *question)
{
    admin_subscriber_t *subscriber =
        admin_hub_join(call->daemon->hub, question->types, question->after);
    if (subscriber == NULL) {
        admin_call_problem(call, "busy", "%d readers of events are here already.",
                           ADMIN_SUBSCRIBERS_MAX);
        call->retry_after_seconds = 5;
    }
    return subscriber;
}

/* ---- the stream ---- */

static void start_stream(admin_call_t *call, const question_t *question)
{
    call->subscriber = join(call, question);
    if (call->subscriber == NULL) {
        return;
    }
    if (!is_sound(question)) {
        admin_hub_reset(call->subscriber, question->first, question->last);
    }
    call->status = 200;
    call->content_type = "text/event-stream";
}

/* ---- the long poll ---- */

typedef struct {
    const admin_privacy_t *privacy;
    json_t *items;
    size_t limit, bytes;
    int64_t last;
} answer_t;

static bool take(void *context, const admin_event_t *event)
{
    answer_t *answer = context;
    if (json_array_size(answer->items) >= answer->limit ||
        answer->bytes >= ANSWER_BYTES) {
        return false;
    }
    json_t *document = admin_event_document(event, answer->privacy);
    answer->bytes += strlen(event->data);
    return json_array_append_new(answer->items, document) == 0;
}

/* All of them may be of other types, so it looks on until there is something to show or
 * the end is reached. */
static l7s_status_t collect(admin_call_t *call, question_t *question, json_t *items)
{
    admin_privacy_t privacy;
    bool more = true;
    l7s_status_t status = admin_privacy_read(call->daemon->store, &privacy);
    answer_t answer = {&privacy, items, (size_t)question->limit, 0, 0};
    while (status == L7S_OK && more && json_array_size(items) == 0) {
        status = admin_event_each(call->daemon->store, question->types, 1000,
                                  &question->after, &more, take, &answer);
    }
    return status;
}

static void reply_items(admin_call_t *call, json_t *items, int64_t last)
{
    admin_call_reply(
        call, 200, json_pack("{s:o, s:I}", "items", items, "last_id", (json_int_t)last));
}

static bool may_wait(const admin_call_t *call)
{
    return !atomic_load(&call->daemon->stopping) &&
           admin_mono_ms() < call->wait_until_mono_ms;
}

static void poll(admin_call_t *call, question_t *question)
{
    if (!is_sound(question)) {
        refuse_position(call, question);
        return;
    }
    json_t *items = json_array();
    l7s_status_t status = collect(call, question, items);
    if (status != L7S_OK) {
        json_decref(items);
        admin_call_failed(call, status);
    } else if (json_array_size(items) > 0 || !may_wait(call)) {
        reply_items(call, items, question->after);
    } else {
        json_decref(items);
        admin_hub_move(call->subscriber, question->after);
        call->waits = true;
    }
}

/* ---- all of them, as lines ---- */

typedef struct {
    const admin_privacy_t *privacy;
    admin_page_t *page;
    uint64_t until_ms;
    bool full;
} lines_t;

static bool add_line(void *context, const admin_event_t *event)
{
    lines_t *lines = context;
    lines->full = event->at_ms > lines->until_ms ||
                  !admin_page_add_number(lines->page, event->id,
                                         admin_event_document(event, lines->privacy));
    return !lines->full;
}

/* Up to the moment when it was asked for, so that it ends however much happens. */
static void list(admin_call_t *call, question_t *question)
{
    admin_page_t page;
    admin_privacy_t privacy;
    bool more = true;
    l7s_status_t status = admin_privacy_read(call->daemon->store, &privacy);
    if (!admin_page_begin(call, &page)) {
        return;
    }
    if (page.after[0] != '\0') {
        question->after = strtoll(page.after, NULL, 10);
    }
    lines_t lines = {&privacy, &page, call->now_ms, false};
    while (status == L7S_OK && more && !lines.full) {
        status = admin_event_each(call->daemon->store, question->types, 1000,
                                  &question->after, &more, add_line, &lines);
    }
    admin_page_reply(&page, status);
}

/* Called again after each wait: `wait_until_mono_ms` is set by then. */
void admin_events_get(admin_call_t *call)
{
    question_t question;
    if (!read_question(call, &question)) {
        return;
    }
    if (question.streams) {
        start_stream(call, &question);
        return;
    }
    if (admin_page_wants_lines(call)) {
        if (call->query(call, "after") == NULL) {
            question.after = question.first - 1;
        }
        if (is_sound(&question) || call->resume[0] != '\0') {
            list(call, &question);
        } else {
            refuse_position(call, &question);
        }
        return;
    }
    bool again = call->subscriber != NULL;
    if (!again) {
        call->wait_until_mono_ms =
            admin_mono_ms() + (uint64_t)question.wait_seconds * 1000;
        call->subscriber = question.wait_seconds == 0 ? NULL : join(call, &question);
        if (call->code != NULL) {
            return;
        }
    } else if (!admin_auth_still(call->daemon->auth, call->identity, call->peer,
                                 ADMIN_VIEWER, call->now_ms)) {
        admin_call_problem(call, "unauthenticated", "This token is not valid any more.");
        return;
    } else {
        question.after = admin_hub_position(call->subscriber);
    }
    poll(call, &question);
}
