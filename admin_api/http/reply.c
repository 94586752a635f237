/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending an answer (request.h): body, headers of the contract, and the counters of the
 * API itself.
 */
#include "http_stats.h"
#include "lines.h"
#include "problem.h"
#include "report.h"
#include "request.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* jansson reserves no newline; a terminal and a text file want one. */
static char *dump(const json_t *json, bool pretty, size_t *size)
{
    size_t flags = pretty ? JSON_INDENT(2) : JSON_COMPACT;
    size_t length = json_dumpb(json, NULL, 0, flags);
    char *text = length == 0 ? NULL : malloc(length + 2);
    if (text == NULL) {
        return NULL;
    }
    if (json_dumpb(json, text, length, flags) != length) {
        free(text);
        return NULL;
    }
    text[length] = '\n';
    text[length + 1] = '\0';
    *size = length + 1;
    return text;
}

static struct MHD_Response *response_of_file(admin_call_t *call)
{
    struct stat file;
    struct MHD_Response *response =
        fstat(call->file, &file) == 0
            ? MHD_create_response_from_fd64((uint64_t)file.st_size, call->file)
            : NULL;
    if (response != NULL) {
        call->file = -1; /* the response closes it */
    }
    return response;
}

/* Steals nothing; the text is owned by the response afterwards. */
static struct MHD_Response *body_of(admin_request_t *request, const char **type)
{
    admin_call_t *call = &request->call;
    size_t size = 0;
    char *text = NULL;
    *type = call->content_type;
    if (call->code != NULL) {
        json_t *document = admin_problem_document(call);
        text = document == NULL ? NULL : dump(document, call->pretty, &size);
        json_decref(document);
        *type = "application/problem+json";
    } else if (call->report != NULL) {
        struct admin_report *report = call->report;
        call->report = NULL;
        return admin_report_response(report, request->connection);
    } else if (call->subscriber != NULL && call->reply == NULL) {
        request->streams = true;
        return admin_stream_response(request);
    } else if (call->more) {
        request->streams = true;
        return admin_lines_response(request);
    } else if (call->file >= 0) {
        return response_of_file(call);
    } else if (call->text != NULL) {
        text = call->text;
        call->text = NULL;
        size = strlen(text);
    } else if (call->reply != NULL) {
        text = dump(call->reply, call->pretty, &size);
        *type = "application/json";
    }
    if (text == NULL) {
        *type = NULL;
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    request->answer_size = size;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
    }
    return response;
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        MHD_add_response_header(response, name, value);
    }
}

static void add_number(struct MHD_Response *response, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    add(response, name, text);
}

static void add_headers(admin_request_t *request, struct MHD_Response *response)
{
    admin_call_t *call = &request->call;
    add(response, "ETag", call->etag);
    add(response, "Location", call->location);
    add(response, "Cache-Control", "no-store");
    add(response, "X-Content-Type-Options", "nosniff");
    add(response, "Content-Security-Policy",
        "default-src 'none'; frame-ancestors 'none'");
    add(response, "Cross-Origin-Resource-Policy", "same-origin");
    add(response, "Referrer-Policy", "no-referrer");
    add(response, "Set-Cookie", call->set_cookie);
    if (call->changed >= 0) {
        add(response, "Shield-Changed", call->changed > 0 ? "true" : "false");
    }
    if (call->revision >= 0) {
        add_number(response, "Shield-Revision", call->revision);
    }
    if (call->retry_after_seconds > 0) {
        add_number(response, "Retry-After", call->retry_after_seconds);
    }
    if (call->status == 401) {
        add(response, "WWW-Authenticate", "Bearer realm=\"l7shield\"");
    }
    if (call->status == 405) {
        add(response, "Allow", request->allow);
    }
    if (request->closes) {
        add(response, "Connection", "close");
    }
}

static void count(const admin_request_t *request)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    admin_http_stats_add(request->call.daemon->http_stats,
                         admin_route_index(request->route), request->call.status,
                         now_us - request->started_us);
}

enum MHD_Result admin_request_send(admin_request_t *request)
{
    const char *type;
    struct MHD_Response *response = body_of(request, &type);
    if (response == NULL) {
        return MHD_NO;
    }
    add(response, "Content-Type", type);
    add_headers(request, response);
    count(request);
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->call.status, response);
    MHD_destroy_response(response);
    return result;
}
