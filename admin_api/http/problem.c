/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors (problem.h). Also the two ways in which a handler answers at all.
 */
#include "problem.h"
#include "../../core/schema/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *code;
    unsigned status;
    const char *title;
} row_t;

static const row_t rows[] = {
    /* the request as HTTP */
    {"malformed_request", 400, "Malformed request"},
    {"host_not_allowed", 400, "Host not allowed"},
    {"invalid_json", 400, "Not valid JSON"},
    {"invalid_parameter", 400, "Invalid query parameter"},
    {"unknown_parameter", 400, "Unknown query parameter"},
    {"invalid_cursor", 400, "Invalid cursor"},
    {"unexpected_body", 400, "A body is not expected here"},
    {"unauthenticated", 401, "Not authenticated"},
    {"forbidden", 403, "Permission missing"},
    {"origin_not_allowed", 403, "Origin not allowed"},
    {"client_certificate_required", 403, "Client certificate missing or wrong"},
    {"csrf_token_required", 403, "CSRF token missing or wrong"},
    {"not_found", 404, "Not found"},
    {"method_not_allowed", 405, "Method not allowed"},
    {"not_acceptable", 406, "Not acceptable"},
    {"body_too_large", 413, "Body too large"},
    {"unsupported_media_type", 415, "Unsupported media type"},
    {"too_many_failures", 429, "Too many failed authentications"},
    /* state */
    {"conflict", 409, "Conflict"},
    {"list_in_use", 409, "The list is still referenced"},
    {"still_referenced", 409, "Still referenced"},
    {"owned_by_set", 409, "Owned by a set"},
    {"made_by_hand", 409, "Made by hand"},
    {"too_many_deletes", 409, "Too much would be deleted"},
    {"last_admin_token", 409, "The last admin token"},
    {"allow_listed", 409, "An allow list covers this client"},
    {"node_live", 409, "The node is live"},
    {"no_backup_folder", 409, "No folder for backups is configured"},
    {"unsupported_by_nodes", 409, "Not supported by every node"},
    {"position_too_old", 410, "The events are not kept any more"},
    {"precondition_failed", 412, "Precondition failed"},
    /* content */
    {"invalid", 422, "Invalid document"},
    {"id_mismatch", 422, "The id does not match the key"},
    {"bans_own_address", 422, "This would ban your own address"},
    {"too_many", 422, "Too many objects"},
    /* the daemon itself */
    {"internal_error", 500, "Internal error"},
    {"storage_unavailable", 503, "The store cannot be written"},
    {"bus_unavailable", 503, "The bus cannot be reached"},
    {"out_of_memory", 503, "Out of memory"},
    {"busy", 503, "Too many calls at once"},
    {"stopping", 503, "The daemon is stopping"},
    {"rollout_incomplete", 504, "Not every node has applied the revision"},
};

static const row_t *row_of(const char *code)
{
    static const row_t unknown = {"internal_error", 500, "Internal error"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].code, code) == 0) {
            return &rows[i];
        }
    }
    return &unknown;
}

void admin_call_problem(admin_call_t *call, const char *code, const char *format, ...)
{
    const row_t *row = row_of(code);
    json_decref(call->reply);
    call->reply = NULL;
    call->status = row->status;
    call->code = row->code;
    call->changed = -1;
    call->revision = -1;
    call->etag[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(call->detail, sizeof call->detail, format, arguments);
    va_end(arguments);
}

void admin_call_reply(admin_call_t *call, unsigned status, json_t *reply)
{
    if (reply == NULL && status != 204) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    json_decref(call->reply);
    call->reply = reply;
    call->status = status;
}

void admin_call_reply_tagged(admin_call_t *call, unsigned status, const char *etag,
                             json_t *reply)
{
    admin_call_reply(call, status, reply);
    if (call->status == status) {
        snprintf(call->etag, sizeof call->etag, "%s", etag);
    }
    if (call->status == 201) {
        snprintf(call->location, sizeof call->location, "%.150s", call->path);
    }
}

void admin_call_failed(admin_call_t *call, l7s_status_t status)
{
    switch (status) {
    case L7S_NOT_FOUND:
        admin_call_problem(call, "not_found", "There is nothing of that name.");
        break;
    case L7S_CONFLICT:
        admin_call_problem(call, "conflict", "It exists already or is in use.");
        break;
    case L7S_INVALID:
        admin_call_invalid(call);
        break;
    case L7S_TOO_BIG:
        admin_call_problem(call, "too_many", "The configuration is too big.");
        break;
    case L7S_NO_MEMORY:
        admin_call_problem(call, "out_of_memory", "Nothing was changed; try again.");
        call->retry_after_seconds = 1;
        break;
    case L7S_TIMEOUT:
        admin_call_problem(call, "bus_unavailable", "memcached did not answer in time.");
        call->retry_after_seconds = 1;
        break;
    case L7S_IO:
        admin_call_problem(call, "storage_unavailable",
                           "Nothing was changed; the daemon's log says why.");
        call->retry_after_seconds = 5;
        break;
    default:
        admin_call_problem(call, "internal_error", "Unexpected: %s.",
                           l7s_status_name(status));
    }
}

void admin_call_unread(admin_call_t *call, l7s_status_t status, const char *noun,
                       const char *name)
{
    if (status == L7S_NOT_FOUND) {
        admin_call_problem(call, "not_found", "There is no %s \"%.63s\".", noun, name);
    } else {
        admin_call_failed(call, status);
    }
}

void admin_call_invalid(admin_call_t *call)
{
    size_t count = call->problems.count + call->problems.dropped;
    if (count == 1) {
        admin_call_problem(call, "invalid", "The document has an error.");
    } else if (call->problems.dropped == 0) {
        admin_call_problem(call, "invalid", "The document has %zu errors.", count);
    } else {
        admin_call_problem(call, "invalid", "The document has %zu errors; shown: %zu.",
                           count, call->problems.count);
    }
}

/* What a client wrote, or a text that was cut, may not be valid UTF-8. */
static json_t *clean(const char *text)
{
    char out[1024];
    l7s_utf8_copy(out, sizeof out, text);
    return json_string(out);
}

static json_t *errors_of(const l7s_problems_t *problems)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < problems->count; i++) {
        const l7s_problem_t *problem = &problems->items[i];
        json_t *error =
            json_pack("{s:o, s:o, s:o}", "pointer", clean(problem->pointer), "code",
                      clean(problem->code), "message", clean(problem->message));
        if (error != NULL) {
            json_array_append_new(errors, error);
        }
    }
    return errors;
}

json_t *admin_problem_document(const admin_call_t *call)
{
    const row_t *row = row_of(call->code == NULL ? "internal_error" : call->code);
    char type[64];
    snprintf(type, sizeof type, "urn:l7shield:problem:%s", row->code);
    return json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:o}", "type", type, "title",
                     row->title, "status", (int)row->status, "code", row->code, "detail",
                     clean(call->detail), "instance", clean(call->path), "errors",
                     errors_of(&call->problems));
}
