/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers in parts (lines.h). A part is made in a thread of its own, as the first one
 * was; while it is made the connection is suspended. A part that fails ends the
 * connection without the last chunk, so the client knows that something is missing.
 */
#include "lines.h"
#include "call_threads.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK (32 * 1024)

typedef struct {
    admin_request_t *request;
    char *text; /* the part that is being sent */
    size_t size, sent;
    bool asked; /* for the next one */
} lines_t;

/* The part that the handler has made; false: it made none. */
static bool take_part(lines_t *lines)
{
    admin_call_t *call = &lines->request->call;
    free(lines->text);
    lines->text = call->text;
    call->text = NULL;
    lines->size = lines->text == NULL ? 0 : strlen(lines->text);
    lines->sent = 0;
    lines->asked = false;
    return call->status == 200 && lines->text != NULL;
}

/* 0: it is being made. */
static ssize_t next_part(lines_t *lines)
{
    admin_request_t *request = lines->request;
    if (!lines->asked) {
        if (!request->call.more) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        lines->asked = true;
        if (admin_call_threads_start(request)) {
            return 0;
        }
        admin_request_run(request); /* too many threads: here then */
    } else if (!atomic_load(&request->done)) {
        return 0; /* woken for nothing */
    }
    return take_part(lines) ? 1 : MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_lines(void *context, uint64_t position, char *out, size_t size)
{
    (void)position;
    lines_t *lines = context;
    while (lines->sent == lines->size) {
        ssize_t made = next_part(lines);
        if (made != 1) {
            return made;
        }
    }
    size_t rest = lines->size - lines->sent, count = rest < size ? rest : size;
    memcpy(out, lines->text + lines->sent, count);
    lines->sent += count;
    return (ssize_t)count;
}

static void end_lines(void *context)
{
    lines_t *lines = context;
    free(lines->text);
    free(lines);
}

struct MHD_Response *admin_lines_response(admin_request_t *request)
{
    lines_t *lines = calloc(1, sizeof *lines);
    struct MHD_Response *response =
        lines == NULL ? NULL
                      : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK,
                                                          read_lines, lines, end_lines);
    if (response == NULL) {
        free(lines);
        return NULL;
    }
    lines->request = request;
    (void)take_part(lines);
    return response;
}
