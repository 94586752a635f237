/* SPDX-License-Identifier: Apache-2.0
 *
 * See check_request.h. What an incident does not tell (most headers) is absent, and the
 * answer shows the request as it was understood.
 */
#include "check_request.h"

#include "../../core/schema/schema.h"
#include "../../core/schema/utf8.h"
#include "../http/problem.h"
#include "../store/store_events.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void wrong(admin_call_t *call, const char *pointer, const char *code,
                  const char *message)
{
    l7s_problems_add(&call->problems, pointer, code, "%s", message);
    admin_call_invalid(call);
}

/* "WWW.Example.com:8443" and "[2001:db8::1]:443" without their ports. */
static void set_host(const char *text, char out[256])
{
    const char *end = strchr(text, ']');
    const char *colon = strchr(end != NULL ? end : text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);

    size = size > 255 ? 255 : size;
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[size] = '\0';
}

static void set_path(const char *text, admin_check_request_t *out)
{
    bool cut;

    snprintf(out->target, sizeof out->target, "%.*s", (int)strcspn(text, "#"), text);
    l7s_path_normalise(out->target, out->path, L7S_PATH_MAX, &cut);
}

/* Databases of countries and ASNs are at the nodes: here somebody must say. */
static void set_origin(const json_t *from, admin_check_request_t *out)
{
    const char *country = json_string_value(json_object_get(from, "country"));
    int64_t asn = l7s_json_integer_or(json_object_get(from, "asn"), 0);

    out->memo.client = out->client;
    out->memo.has_origin = country != NULL || asn > 0;
    out->memo.origin.asn = asn > 0 && asn <= UINT32_MAX ? (uint32_t)asn : 0;
    snprintf(out->memo.origin.country, sizeof out->memo.origin.country, "%s",
             country != NULL ? country : "");
}

static void set_headers(const json_t *headers, json_t *out)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)headers, name, value)
    {
        char lower[65];
        size_t size = 0;
        for (; name[size] != '\0' && size < sizeof lower - 1; size++) {
            lower[size] = (char)tolower((unsigned char)name[size]);
        }
        lower[size] = '\0';
        json_object_set(out, lower, value);
    }
}

/* `pointer`: where the client stands. */
static bool set_client(admin_call_t *call, const char *text, const char *pointer,
                       admin_check_request_t *out)
{
    if (!l7s_addr_parse(text, &out->client)) {
        wrong(call, pointer, "bad_address", "must be an address like \"203.0.113.7\"");
        return false;
    }
    snprintf(out->client_text, sizeof out->client_text, "%s", text);
    return true;
}

/* --- the three ways to ask --- */

static const char *member(const json_t *object, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : otherwise;
}

bool admin_check_request_members(admin_call_t *call, const json_t *body,
                                 const char *pointer, admin_check_request_t *out)
{
    const char *client = member(body, "client", "");

    snprintf(out->method, sizeof out->method, "%s", member(body, "method", "GET"));
    snprintf(out->app, sizeof out->app, "%s", member(body, "app", ""));
    snprintf(out->user, sizeof out->user, "%s", member(body, "user", ""));
    set_host(member(body, "host", ""), out->host);
    set_path(member(body, "path", "/"), out);
    set_headers(json_object_get(body, "headers"), out->headers);
    if (!set_client(call, client, pointer, out)) {
        return false;
    }
    set_origin(body, out);
    return true;
}

static bool read_members(admin_call_t *call, const json_t *body,
                         admin_check_request_t *out)
{
    if (json_object_get(body, "client") == NULL) {
        wrong(call, "", "missing_key",
              "\"client\" or \"incident\" is required: who is stopped?");
        return false;
    }
    return admin_check_request_members(call, body, "/client", out);
}

/* Who a record is about: its key, else its only client. A network's key stands as
 * "203.0.113.0/24" and is no client. */
static const char *client_of(const json_t *record)
{
    const json_t *source = json_object_get(record, "source");
    const json_t *clients = json_object_get(json_object_get(record, "top"), "clients");
    const char *key = member(json_object_get(source, "key"), "client", NULL);
    const json_t *first = json_array_get(clients, 0);

    if (key != NULL) {
        return key;
    }
    return json_is_string(first) ? json_string_value(first)
                                 : member(first, "value", member(first, "client", NULL));
}

/* A key of IPv6 is its /64: any address in it stands for all. */
static void without_prefix(const char *text, char out[64])
{
    snprintf(out, 64, "%.*s", (int)strcspn(text, "/"), text);
}

static bool read_incident(admin_call_t *call, const char *id, admin_check_request_t *out)
{
    const json_t *target, *agents;
    const char *client;
    char address[64];

    out->incident = admin_incident_get(call->daemon->store, id);
    if (out->incident == NULL) {
        admin_call_problem(call, "not_found", "No incident has this id or alias.");
        return false;
    }
    client = client_of(out->incident);
    if (client == NULL) {
        wrong(call, "/incident", "no_client",
              "the record names no client; ask with \"client\"");
        return false;
    }
    target = json_object_get(out->incident, "target");
    snprintf(out->user, sizeof out->user, "%s",
             member(json_object_get(json_object_get(out->incident, "source"), "key"),
                    "user", ""));
    snprintf(out->method, sizeof out->method, "%s", member(target, "method", "GET"));
    set_host(member(target, "host", ""), out->host);
    set_path(member(target, "path", "/"), out);
    agents = json_object_get(json_object_get(out->incident, "top"), "user_agents");
    const char *agent = member(json_array_get(agents, 0), "value",
                               json_string_value(json_array_get(agents, 0)));
    if (agent != NULL) {
        json_object_set_new(out->headers, "user-agent", json_string(agent));
    }
    without_prefix(client, address);
    if (!set_client(call, address, "/incident", out)) {
        return false;
    }
    set_origin(json_object_get(out->incident, "source"), out);
    return true;
}

/* The simple case: GET with parameters. */
static json_t *body_of_query(const admin_call_t *call)
{
    static const char *const names[] = {"incident", "client", "host", "path", "method"};
    json_t *body = json_object();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = call->query(call, names[i]);
        if (value != NULL) {
            json_object_set_new(body, names[i], json_string(value));
        }
    }
    return body;
}

void admin_check_request_begin(admin_check_request_t *out)
{
    memset(out, 0, sizeof *out);
    out->headers = json_object();
}

/* What is asked by parameters is held to the same schema; that of a body has been. */
static bool is_valid(admin_call_t *call, const json_t *body)
{
    bool good =
        call->body != NULL || json_object_size(body) == 0 ||
        l7s_schema_validate(l7s_openapi_schema("Check"), body, &call->problems) == L7S_OK;

    if (!good) {
        admin_call_invalid(call);
    }
    return good;
}

/* An incident tells the request: what stood beside it would not be looked at. */
static bool stands_alone(admin_call_t *call, const json_t *body)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)body, name, value)
    {
        char pointer[80];
        bool of_release =
            strcmp(name, "hold_seconds") == 0 || strcmp(name, "reason") == 0;
        if (strcmp(name, "incident") != 0 && !of_release) {
            snprintf(pointer, sizeof pointer, "/%.64s", name);
            l7s_problems_add(&call->problems, pointer, "not_allowed",
                             "write \"incident\" or \"%.40s\", not both", name);
        }
    }
    if (call->problems.count > 0) {
        admin_call_invalid(call);
    }
    return call->problems.count == 0;
}

bool admin_check_request_read(admin_call_t *call, admin_check_request_t *out)
{
    json_t *body = call->body != NULL ? json_incref(call->body) : body_of_query(call);
    const char *incident = member(body, "incident", NULL);
    bool good = is_valid(call, body) && (incident == NULL || stands_alone(call, body));

    admin_check_request_begin(out);
    if (good) {
        good = incident != NULL ? read_incident(call, incident, out)
                                : read_members(call, body, out);
    }
    json_decref(body);
    l7s_utf8_copy(out->shown_host, sizeof out->shown_host, out->host);
    l7s_utf8_copy(out->shown_path, sizeof out->shown_path, out->path);
    return good;
}

void admin_check_request_clear(admin_check_request_t *request)
{
    json_decref(request->headers);
    json_decref(request->incident);
    if (request->scratch != NULL) {
        l7s_scratch_free(request->scratch);
    }
}

/* --- for the engine --- */

static const char *find_header(void *context, const char *name)
{
    const admin_check_request_t *request = context;

    return json_string_value(json_object_get(request->headers, name));
}

static l7s_scratch_t *find_scratch(void *context)
{
    admin_check_request_t *request = context;

    if (request->scratch == NULL) {
        request->scratch = l7s_scratch_create();
    }
    return request->scratch;
}

l7s_request_t admin_check_request_facts(admin_check_request_t *request)
{
    return (l7s_request_t){.client = request->client,
                           .method = request->method,
                           .host = request->host,
                           .path = request->path,
                           .target = request->target,
                           .memo = &request->memo,
                           .app = request->app[0] != '\0' ? request->app : NULL,
                           .user = request->user[0] != '\0' ? request->user : NULL,
                           .mode = L7S_MODE_ENFORCE,
                           .header = find_header,
                           .context = request,
                           .scratch = find_scratch};
}
