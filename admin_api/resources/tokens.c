/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/tokens: who may call the API. The secret is shown once, in the answer that creates
 * or rotates it, and is stored as a hash only. Tokens are no part of the configuration:
 * they have no revision and a restore leaves them alone.
 */
#include "../../core/addr.h"
#include "../../core/clock.h"
#include "../../core/json/json_time.h"
#include "../http/auth.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../http/scope.h"
#include "../http/token_text.h"
#include "edit.h"
#include "resources.h"

#include <stdio.h>
#include <string.h>

#define TOKENS_MAX 1000
#define OVERLAP_SECONDS_MAX (7 * 86400)

/* The secret before the last rotation, while it holds. */
static json_t *previous_of(const admin_token_t *token, uint64_t now_ms)
{
    if (token->old_until_ms <= now_ms) {
        return json_null();
    }
    return json_pack("{s:s, s:o, s:o}", "id", token->old_id, "until",
                     l7s_json_time(token->old_until_ms), "last_used_at",
                     l7s_json_time(token->old_used_ms));
}

/* The document: what the client sent, the secret when there is one to show, the status.
 */
static json_t *document_of(const admin_call_t *call, const admin_token_t *token,
                           const char *secret)
{
    json_t *document = json_copy(token->spec);
    if (secret != NULL) {
        json_object_set_new(document, "token", json_string(secret));
    }
    if (!call->view_spec) {
        json_object_set_new(document, "status",
                            json_pack("{s:s, s:o, s:o, s:o, s:o}", "id", token->id,
                                      "created_at", l7s_json_time(token->created_ms),
                                      "rotated_at", l7s_json_time(token->rotated_ms),
                                      "last_used_at", l7s_json_time(token->last_used_ms),
                                      "previous", previous_of(token, call->now_ms)));
    }
    return document;
}

static void reply(admin_call_t *call, const admin_token_t *token, const char *secret,
                  unsigned status)
{
    char etag[ADMIN_ETAG_MAX];
    l7s_status_t made = admin_etag(token->spec, etag);
    if (made != L7S_OK) {
        admin_call_failed(call, made);
        return;
    }
    admin_call_reply_tagged(call, status, etag, document_of(call, token, secret));
}

static bool list_one(void *context, const admin_token_t *token)
{
    admin_page_t *page = context;
    return admin_page_add(page, token->name, document_of(page->call, token, NULL));
}

void admin_tokens_list(admin_call_t *call)
{
    admin_page_t page;
    if (admin_page_begin(call, &page)) {
        admin_page_reply(
            &page, admin_token_each(call->daemon->store, page.after, list_one, &page));
    }
}

void admin_tokens_get(admin_call_t *call)
{
    admin_token_t token;
    l7s_status_t status =
        admin_token_get(call->daemon->store, call->parameters[0], &token);
    if (status != L7S_OK) {
        admin_call_unread(call, status, "token", call->parameters[0]);
        return;
    }
    reply(call, &token, NULL, 200);
    json_decref(token.spec);
}

/* -- writing -- */

typedef struct {
    const char *except;
    size_t count;
    bool other_admin;
} census_t;

/* May it do everything, from everywhere, for ever? */
static bool is_full_admin(const admin_token_t *token)
{
    return token->role == ADMIN_ADMIN && token->expires_ms == 0 &&
           !admin_scope_is_bound(token->spec) &&
           json_array_size(json_object_get(token->spec, "addresses")) == 0;
}

static bool count_one(void *context, const admin_token_t *token)
{
    census_t *census = context;
    census->count++;
    if (is_full_admin(token) && strcmp(token->name, census->except) != 0) {
        census->other_admin = true;
    }
    return true;
}

/* Nobody may lock everybody out: an admin token without expiry and bounds must remain. */
static bool admin_remains(admin_call_t *call, const admin_token_t *before,
                          census_t *census)
{
    *census = (census_t){.except = call->parameters[0]};
    if (admin_token_each(call->daemon->store, "", count_one, census) != L7S_OK) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    if (is_full_admin(before) && !census->other_admin) {
        admin_call_problem(call, "last_admin_token",
                           "It is the last admin token without expiry and bounds; make"
                           " another first.");
        return false;
    }
    return true;
}

static void check_addresses(admin_call_t *call, const json_t *spec)
{
    const json_t *addresses = json_object_get(spec, "addresses");
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        char pointer[32], corrected[L7S_CIDR_TEXT];
        l7s_cidr_t network;
        const char *text = json_string_value(json_array_get(addresses, i));
        l7s_status_t status = l7s_cidr_parse(text, &network);
        snprintf(pointer, sizeof pointer, "/addresses/%zu", i);
        if (status == L7S_CONFLICT) {
            l7s_cidr_text(&network, corrected);
            l7s_problems_add(&call->problems, pointer, "cidr_host_bits",
                             "host bits are set; write \"%s\"", corrected);
        } else if (status != L7S_OK) {
            l7s_problems_add(&call->problems, pointer, "bad_cidr",
                             "an address or a network like \"198.51.100.0/24\"");
        }
    }
}

/* Fills in role and expiry from the document. */
static bool read_spec(admin_call_t *call, json_t *spec, admin_token_t *out)
{
    const char *role = json_string_value(json_object_get(spec, "role"));
    const char *expires = json_string_value(json_object_get(spec, "expires_at"));
    admin_edit_check_name(&call->problems, call->parameters[0]);
    admin_edit_check_own_name(&call->problems, call->parameters[0], spec);
    if (role == NULL || !admin_role_parse(role, &out->role)) {
        l7s_problems_add(&call->problems, "/role", "invalid",
                         "role is viewer, operator, editor, admin, metrics or auditor");
    }
    check_addresses(call, spec);
    out->expires_ms = 0;
    if (expires != NULL &&
        (!l7s_time_parse(expires, &out->expires_ms) || out->expires_ms <= call->now_ms)) {
        l7s_problems_add(&call->problems, "/expires_at", "in_the_past",
                         "expires_at is a time in the future (RFC 3339) or null");
    }
    if (call->problems.count > 0) {
        admin_call_invalid(call);
        return false;
    }
    return true;
}

/* Inside the transaction. A new token is minted into `secret`. */
static bool prepare(admin_call_t *call, const admin_token_t *before, admin_token_t *after,
                    char secret[ADMIN_TOKEN_TEXT])
{
    census_t census = {0};
    bool created = before->spec == NULL;
    bool demoted = !created && !is_full_admin(after);
    if ((created || demoted) && !admin_remains(call, before, &census)) {
        return false;
    }
    if (created && census.count >= TOKENS_MAX) {
        admin_call_problem(call, "too_many", "There are %d tokens already.", TOKENS_MAX);
        return false;
    }
    if (created && admin_token_mint(secret, after->id, after->hash) != L7S_OK) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return false;
    }
    return true;
}

/* Inside the transaction, which it ends. */
static void write_token(admin_call_t *call, const admin_token_t *before,
                        admin_token_t *after)
{
    char etag[ADMIN_ETAG_MAX], secret[ADMIN_TOKEN_TEXT];
    bool created = before->spec == NULL;
    if ((!created && admin_etag(before->spec, etag) != L7S_OK) ||
        !admin_edit_precondition(call, created ? NULL : etag)) {
        admin_edit_abort(call);
        return;
    }
    if (!created && json_equal(before->spec, after->spec)) {
        admin_edit_abort(call);
        call->changed = 0;
        reply(call, before, NULL, 200);
        return;
    }
    if (!prepare(call, before, after, secret)) {
        admin_edit_abort(call);
        return;
    }
    if (admin_edit_finish(call, admin_token_put(call->daemon->store, after))) {
        /* The secret of a dry run opens nothing, so it is not shown. */
        reply(call, after, created && !call->dry_run ? secret : NULL,
              created ? 201 : 200);
    }
}

void admin_tokens_put(admin_call_t *call)
{
    admin_token_t before = {0};
    json_t *spec = admin_edit_spec(call->body, call->parameters[0]);
    admin_token_t wanted = {0};
    if (spec == NULL || !read_spec(call, spec, &wanted) || !admin_edit_begin(call)) {
        json_decref(spec);
        return;
    }
    l7s_status_t status =
        admin_token_get(call->daemon->store, call->parameters[0], &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        admin_edit_abort(call);
        admin_call_failed(call, status);
    } else {
        admin_token_t after = before;
        after.role = wanted.role;
        after.expires_ms = wanted.expires_ms;
        after.spec = spec;
        snprintf(after.name, sizeof after.name, "%s", call->parameters[0]);
        if (status == L7S_NOT_FOUND) {
            after.created_ms = after.rotated_ms = call->now_ms;
        }
        write_token(call, &before, &after);
    }
    json_decref(before.spec);
    json_decref(spec);
}

/* The token inside an open transaction; else the transaction is closed. */
static bool begin_on_existing(admin_call_t *call, admin_token_t *token)
{
    if (!admin_edit_begin(call)) {
        return false;
    }
    char etag[ADMIN_ETAG_MAX];
    l7s_status_t status =
        admin_token_get(call->daemon->store, call->parameters[0], token);
    if (status != L7S_OK) {
        admin_call_unread(call, status, "token", call->parameters[0]);
    } else if (admin_etag(token->spec, etag) == L7S_OK &&
               admin_edit_precondition(call, etag)) {
        return true;
    }
    admin_edit_abort(call);
    json_decref(token->spec);
    return false;
}

void admin_tokens_delete(admin_call_t *call)
{
    admin_token_t token;
    census_t census;
    if (!begin_on_existing(call, &token)) {
        return;
    }
    if (!admin_remains(call, &token, &census)) {
        admin_edit_abort(call);
    } else if (admin_edit_finish(call,
                                 admin_token_delete(call->daemon->store, token.name))) {
        admin_call_reply(call, 204, NULL);
    }
    json_decref(token.spec);
}

/* One old secret at most: a rotation ends the one before. */
static void retire(admin_token_t *token, uint64_t overlap_ms, uint64_t now_ms)
{
    bool overlaps = overlap_ms > 0;
    snprintf(token->old_id, sizeof token->old_id, "%s", overlaps ? token->id : "");
    memcpy(token->old_hash, token->hash, sizeof token->old_hash);
    token->old_until_ms = overlaps ? now_ms + overlap_ms : 0;
    token->old_used_ms = token->last_used_ms;
    token->last_used_ms = 0;
    token->rotated_ms = now_ms;
}

void admin_tokens_rotate(admin_call_t *call)
{
    admin_token_t token;
    char secret[ADMIN_TOKEN_TEXT];
    int64_t overlap_seconds = 0; /* how long the old secret shall still hold */
    if (!admin_parameter_number(call, "overlap_seconds", 0, OVERLAP_SECONDS_MAX,
                                &overlap_seconds) ||
        !begin_on_existing(call, &token)) {
        return;
    }
    retire(&token, (uint64_t)overlap_seconds * 1000, call->now_ms);
    l7s_status_t status = admin_token_mint(secret, token.id, token.hash);
    if (status == L7S_OK) {
        status = admin_token_put(call->daemon->store, &token);
    }
    if (admin_edit_finish(call, status)) {
        reply(call, &token, call->dry_run ? NULL : secret, 200);
    }
    json_decref(token.spec);
}
