/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's life, its body, and its handler (request.h). What is checked before the
 * body is read is request_head.c's.
 */
#include "request.h"
#include "../../core/json/config.h"
#include "../../core/schema/schema.h"
#include "../events/hub.h"
#include "../worker.h"
#include "media.h"
#include "page.h"
#include "problem.h"
#include "report.h"
#include "spool.h"
#include "trail.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* -- query parameters -- */

typedef struct {
    const char *name, *found;
    size_t index, seen;
} lookup_t;

static enum MHD_Result look(void *context, enum MHD_ValueKind kind, const char *key,
                            const char *value)
{
    (void)kind;
    lookup_t *lookup = context;
    if (strcmp(key, lookup->name) != 0 || lookup->seen++ != lookup->index) {
        return MHD_YES;
    }
    lookup->found = value == NULL ? "" : value;
    return MHD_NO;
}

static const char *query_at(const admin_call_t *call, const char *name, size_t index)
{
    const admin_request_t *request = call->server;
    lookup_t lookup = {.name = name, .index = index};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, look, &lookup);
    return lookup.found;
}

static const char *query(const admin_call_t *call, const char *name)
{
    return query_at(call, name, 0);
}

/* -- body and handler -- */

bool admin_request_body(admin_request_t *request, const char *data, size_t size)
{
    if (request->refused || request->too_large ||
        request->body_size + size > request->body_max) {
        request->too_large = !request->refused;
        request->body_size += size;
        return request->body_size <= request->body_max + ADMIN_DRAIN_MAX;
    }
    if (request->call.upload >= 0) {
        request->body_size += size;
        return admin_spool_write(request->call.upload, data, size);
    }
    if (request->body_size + size > request->body_capacity) {
        size_t capacity = request->body_capacity == 0 ? 4096 : request->body_capacity;
        while (capacity < request->body_size + size) {
            capacity *= 2;
        }
        char *grown = realloc(request->body, capacity);
        if (grown == NULL) {
            return false;
        }
        request->body = grown;
        request->body_capacity = capacity;
    }
    memcpy(request->body + request->body_size, data, size);
    request->body_size += size;
    return true;
}

/* 15 seconds, and one more for each 32 KiB that have come. */
unsigned admin_request_body_ms(const admin_request_t *request)
{
    uint64_t allowed_ms = 15000 + request->body_size / 32;
    uint64_t spent_ms = (mono_us() - request->started_us) / 1000;
    return spent_ms < allowed_ms ? (unsigned)(allowed_ms - spent_ms) : 1;
}

bool admin_request_reads(const admin_request_t *request)
{
    return strcmp(request->route->method, "GET") == 0;
}

bool admin_request_mutates(const admin_request_t *request)
{
    const char *method = request->call.method;
    return request->route != NULL
               ? admin_route_changes(request->route)
               : strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
                     strcmp(method, "OPTIONS") != 0;
}

/* NDJSON and texts are not cut into pages. */
static bool wants_everything(const admin_request_t *request)
{
    return (request->route->produces & ADMIN_PRODUCES_NDJSON) != 0 &&
           (admin_page_wants_lines(&request->call) ||
            admin_media_prefers(request->call.accept, "text/plain", "application/json") ||
            query(&request->call, "format") != NULL);
}

bool admin_request_waits(const admin_request_t *request)
{
    return request->route->waits || !admin_request_reads(request) ||
           wants_everything(request);
}

static bool parse_body(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    if (request->route->body_max == ADMIN_BODY_NONE) {
        return true;
    }
    if (request->too_large) {
        admin_call_problem(call, "body_too_large", "At most %zu bytes are allowed here.",
                           request->body_max);
        return false;
    }
    if (call->upload >= 0) {
        return true;
    }
    if (request->body_size == 0) {
        admin_call_problem(call, "invalid_json", "The body is empty; send %s.",
                           request->route->body_max == ADMIN_BODY_LOG
                               ? "a log, or a JSON object that names one"
                               : "a JSON object");
        return false;
    }
    call->body = l7s_json_read(request->body, request->body_size, &call->problems);
    free(request->body);
    request->body = NULL;
    if (call->body == NULL) {
        admin_call_problem(call, "invalid_json", "%s",
                           call->problems.count > 0 ? call->problems.items[0].message
                                                    : "The body is not JSON.");
        return false;
    }
    const l7s_schema_t *schema = request->route->schema == NULL
                                     ? NULL
                                     : l7s_openapi_schema(request->route->schema);
    if (schema != NULL &&
        l7s_schema_validate(schema, call->body, &call->problems) != L7S_OK) {
        admin_call_invalid(call);
        return false;
    }
    if (!json_is_object(call->body)) {
        l7s_problems_add(&call->problems, "", "type", "the body is a JSON object");
        admin_call_invalid(call);
        return false;
    }
    return true;
}

/* The same handler goes on behind call->resume, at the same time of day, so that
 * "-15m" means one thing for all of an answer. */
static void run_next_page(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    call->more = false;
    call->status = 0;
    request->route->handler(call);
}

/* What the caller has already is not sent again (RFC 9110, 13.1.2). */
static void spare_known(admin_call_t *call)
{
    const char *known = call->if_none_match;
    if (known == NULL || call->status != 200 || call->etag[0] == '\0' ||
        (strcmp(known, "*") != 0 && strstr(known, call->etag) == NULL)) {
        return;
    }
    json_decref(call->reply);
    call->reply = NULL;
    call->status = 304;
}

void admin_request_run(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    if (call->more) {
        run_next_page(request);
        return;
    }
    call->now_ms = admin_wall_ms();
    call->waits = false;
    if (parse_body(request)) {
        request->route->handler(call);
    }
    if (admin_request_reads(request)) {
        spare_known(call);
    }
    if (call->status == 0 && !call->waits) {
        admin_call_problem(call, "internal_error", "The handler gave no answer.");
    }
    if (admin_request_mutates(request)) {
        admin_trail_end(call);
    }
}

/* -- life -- */

static void read_peer(admin_request_t *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (request->listen == ADMIN_LISTEN_UNIX || info == NULL ||
        info->client_addr == NULL) {
        return;
    }
    if (info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)info->client_addr;
        memset(request->peer + 10, 0xff, 2);
        memcpy(request->peer + 12, &v4->sin_addr, 4);
    } else if (info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)info->client_addr;
        memcpy(request->peer, &v6->sin6_addr, 16);
    }
    request->call.peer = request->peer;
}

admin_request_t *admin_request_create(admin_daemon_t *daemon,
                                      struct MHD_Connection *connection,
                                      admin_listen_t listen, const char *method,
                                      const char *path)
{
    admin_request_t *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    request->connection = connection;
    request->listen = listen;
    request->started_us = mono_us();
    request->path = strdup(path);
    request->cut_path = strdup(path);
    request->call = (admin_call_t){.daemon = daemon,
                                   .method = method,
                                   .path = request->path,
                                   .now_ms = admin_wall_ms(),
                                   .query = query,
                                   .query_at = query_at,
                                   .server = request,
                                   .identity = &request->identity,
                                   .tls = listen == ADMIN_LISTEN_TLS,
                                   .upload = -1,
                                   .file = -1,
                                   .changed = -1,
                                   .revision = -1};
    if (request->path == NULL || request->cut_path == NULL) {
        admin_request_free(request);
        return NULL;
    }
    read_peer(request);
    return request;
}

void admin_request_free(admin_request_t *request)
{
    admin_identity_clear(&request->identity);
    if (request->call.subscriber != NULL) {
        admin_hub_leave(request->call.subscriber);
    }
    if (request->call.report != NULL) {
        admin_report_drop(request->call.report);
    }
    if (request->call.upload >= 0) {
        close(request->call.upload);
    }
    if (request->call.file >= 0) {
        close(request->call.file);
    }
    json_decref(request->call.body);
    json_decref(request->call.reply);
    free(request->call.text);
    free(request->body);
    free(request->path);
    free(request->cut_path);
    free(request);
}
