/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/webhooks: who is told of events. The secret is written and never shown; a PUT
 * without one keeps it. Webhooks are no part of the configuration, like tokens: they have
 * no revision and a restore leaves them alone.
 */
#include "../events/webhooks.h"
#include "../../core/bus/trust.h"
#include "../../core/json/json_time.h"
#include "../http/page.h"
#include "../http/problem.h"
#include "../store/event_log.h"
#include "edit.h"
#include "resources.h"

#include <stdio.h>
#include <string.h>

/* ---- showing ---- */

static json_t *last_error(const admin_webhook_state_t *state)
{
    return state->failure_ms == 0
               ? json_null()
               : json_pack("{s:o, s:s}", "at", l7s_json_time(state->failure_ms),
                           "message", state->error);
}

static json_t *status_of(admin_store_t *store, const admin_webhook_t *webhook)
{
    admin_webhook_state_t state;
    l7s_status_t status = admin_webhook_state_get(store, webhook, &state);
    bool known = status == L7S_OK;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "created_at",
                     l7s_json_time(webhook->created_ms), "updated_at",
                     l7s_json_time(webhook->updated_ms), "position",
                     known ? json_integer(state.position) : json_null(),
                     "last_success_at", l7s_json_time(state.success_ms), "last_error",
                     last_error(&state), "failures", (int)state.failures,
                     "next_attempt_at",
                     l7s_json_time(state.failures > 0 ? state.next_ms : 0));
}

static json_t *document_of(const admin_call_t *call, const admin_webhook_t *webhook)
{
    json_t *document = json_copy(webhook->spec);
    if (!call->view_spec) {
        json_object_set_new(document, "status", status_of(call->daemon->store, webhook));
    }
    return document;
}

/* Of document and secret, without telling the secret. */
static l7s_status_t etag_of(const admin_webhook_t *webhook, char out[ADMIN_ETAG_MAX])
{
    char digest[L7S_SHA256_TEXT];
    l7s_sha256_text(webhook->secret, strlen(webhook->secret), digest);
    json_t *both = json_pack("[O, s]", webhook->spec, digest);
    l7s_status_t status = both == NULL ? L7S_NO_MEMORY : admin_etag(both, out);
    json_decref(both);
    return status;
}

static void reply(admin_call_t *call, const admin_webhook_t *webhook, unsigned status)
{
    char etag[ADMIN_ETAG_MAX];
    l7s_status_t made = etag_of(webhook, etag);
    if (made != L7S_OK) {
        admin_call_failed(call, made);
        return;
    }
    admin_call_reply_tagged(call, status, etag, document_of(call, webhook));
}

static bool list_one(void *context, const admin_webhook_t *webhook)
{
    admin_page_t *page = context;
    return admin_page_add(page, webhook->name, document_of(page->call, webhook));
}

void admin_webhooks_list(admin_call_t *call)
{
    admin_page_t page;
    if (admin_page_begin(call, &page)) {
        admin_page_reply(
            &page, admin_webhook_each(call->daemon->store, page.after, list_one, &page));
    }
}

/* False: the call has its problem. */
static bool read_webhook(admin_call_t *call, admin_webhook_t *out)
{
    l7s_status_t status =
        admin_webhook_get(call->daemon->store, call->parameters[0], out);
    if (status != L7S_OK) {
        admin_call_unread(call, status, "webhook", call->parameters[0]);
    }
    return status == L7S_OK;
}

void admin_webhooks_get(admin_call_t *call)
{
    admin_webhook_t webhook;
    if (read_webhook(call, &webhook)) {
        reply(call, &webhook, 200);
        json_decref(webhook.spec);
    }
}

/* ---- writing ---- */

static void check_types(admin_call_t *call)
{
    size_t index;
    json_t *name;
    json_array_foreach(json_object_get(call->body, "types"), index, name)
    {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/types/%zu", index);
        if (admin_event_types(json_string_value(name)) == 0) {
            l7s_problems_add(&call->problems, pointer, "not_allowed",
                             "must be an event's type like \"ban.added\", or \"ban.*\"");
        }
    }
}

/* What a schema cannot say. */
static bool check_document(admin_call_t *call, const admin_webhook_t *before)
{
    char why[160];
    const char *url = json_string_value(json_object_get(call->body, "url"));
    admin_edit_check_name(&call->problems, call->parameters[0]);
    admin_edit_check_own_name(&call->problems, call->parameters[0], call->body);
    if (!admin_webhook_url_check(url, call->daemon->options->webhook_private, why)) {
        l7s_problems_add(&call->problems, "/url", "bad_url", "%s", why);
    }
    if (before->spec == NULL && json_object_get(call->body, "secret") == NULL) {
        l7s_problems_add(&call->problems, "/secret", "missing_key",
                         "\"secret\" is required: events are signed with it");
    }
    check_types(call);
    if (call->problems.count > 0) {
        admin_call_invalid(call);
    }
    return call->problems.count == 0;
}

static bool count_one(void *context, const admin_webhook_t *webhook)
{
    (void)webhook;
    ++*(size_t *)context;
    return true;
}

static bool has_room(admin_call_t *call)
{
    size_t count = 0;
    l7s_status_t status = admin_webhook_each(call->daemon->store, "", count_one, &count);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    if (count >= ADMIN_WEBHOOKS_MAX) {
        admin_call_problem(call, "too_many", "There are %d webhooks already.",
                           ADMIN_WEBHOOKS_MAX);
        return false;
    }
    return true;
}

/* Inside the transaction, which it ends. */
static void write_webhook(admin_call_t *call, const admin_webhook_t *before,
                          const admin_webhook_t *after)
{
    char was[ADMIN_ETAG_MAX] = "", is[ADMIN_ETAG_MAX] = "";
    bool created = before->spec == NULL;
    if ((!created && etag_of(before, was) != L7S_OK) || etag_of(after, is) != L7S_OK ||
        !admin_edit_precondition(call, created ? NULL : was) ||
        (created && !has_room(call))) {
        admin_edit_abort(call);
    } else if (strcmp(was, is) == 0) {
        admin_edit_abort(call);
        call->changed = 0;
        reply(call, before, 200);
    } else if (admin_edit_finish(call, admin_webhook_put(call->daemon->store, after))) {
        reply(call, after, created ? 201 : 200);
    }
}

/* The webhook as it shall be; its spec is `spec`. */
static admin_webhook_t changed_to(const admin_call_t *call, const admin_webhook_t *before,
                                  json_t *spec)
{
    admin_webhook_t after = *before;
    const char *secret = json_string_value(json_object_get(spec, "secret"));
    if (secret != NULL) {
        snprintf(after.secret, sizeof after.secret, "%s", secret);
        json_object_del(spec, "secret");
    }
    snprintf(after.name, sizeof after.name, "%s", call->parameters[0]);
    after.spec = spec;
    after.updated_ms = call->now_ms;
    after.created_ms = before->spec == NULL ? call->now_ms : before->created_ms;
    return after;
}

void admin_webhooks_put(admin_call_t *call)
{
    admin_webhook_t before;
    json_t *spec = admin_edit_spec(call->body, call->parameters[0]);
    if (spec == NULL || !admin_edit_begin(call)) {
        json_decref(spec);
        return;
    }
    l7s_status_t status =
        admin_webhook_get(call->daemon->store, call->parameters[0], &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        admin_edit_abort(call);
        admin_call_failed(call, status);
    } else if (!check_document(call, &before)) {
        admin_edit_abort(call);
    } else {
        admin_webhook_t after = changed_to(call, &before, spec);
        write_webhook(call, &before, &after);
    }
    json_decref(before.spec);
    json_decref(spec);
}

void admin_webhooks_delete(admin_call_t *call)
{
    char etag[ADMIN_ETAG_MAX];
    admin_webhook_t webhook;
    if (!admin_edit_begin(call)) {
        return;
    }
    if (!read_webhook(call, &webhook)) {
        admin_edit_abort(call);
        return;
    }
    if (etag_of(&webhook, etag) != L7S_OK || !admin_edit_precondition(call, etag)) {
        admin_edit_abort(call);
    } else if (admin_edit_finish(
                   call, admin_webhook_delete(call->daemon->store, webhook.name))) {
        admin_call_reply(call, 204, NULL);
    }
    json_decref(webhook.spec);
}

/* ---- trying it ---- */

void admin_webhooks_test(admin_call_t *call)
{
    admin_webhook_t webhook;
    admin_delivery_result_t result = {.error = ""};
    uint64_t took_ms = 0;
    if (!read_webhook(call, &webhook)) {
        return;
    }
    if (!call->dry_run) {
        admin_webhook_test(call->daemon, &webhook, &result, &took_ms);
    }
    admin_call_reply(
        call, 200,
        json_pack(
            "{s:b, s:o, s:o, s:I}", "delivered", (int)result.delivered, "http_status",
            result.http_status == 0 ? json_null() : json_integer(result.http_status),
            "error", result.error[0] == '\0' ? json_null() : json_string(result.error),
            "took_ms", (json_int_t)took_ms));
    json_decref(webhook.spec);
}
