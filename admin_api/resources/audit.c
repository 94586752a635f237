/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/audit: who changed what, and who was refused, newest first. Nobody can change it,
 * and settings.privacy does not apply to it.
 */
#include "../../core/addr.h"
#include "../../core/clock.h"
#include "../http/page.h"
#include "../http/problem.h"
#include "../http/terms.h"
#include "../http/trail.h"
#include "../store/store_audit.h"
#include "resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *time_of(uint64_t ms)
{
    char text[L7S_TIME_TEXT];
    l7s_time_text(ms, text);
    return json_string(text);
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *address_of(const uint8_t *client)
{
    char text[L7S_ADDR_TEXT];
    l7s_addr_t address;
    if (client == NULL) {
        return json_null();
    }
    memcpy(address.bytes, client, sizeof address.bytes);
    l7s_addr_text(&address, text);
    return json_string(text);
}

static json_t *document_of(const admin_audit_t *row)
{
    json_t *revision =
        row->revision < 0 ? json_null() : json_integer((json_int_t)row->revision);
    return json_pack(
        "{s:I, s:o, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:o,"
        " s:s}",
        "id", (json_int_t)row->seq, "at", time_of(row->at_ms), "last_at",
        time_of(row->last_ms), "count", (json_int_t)row->count, "outcome", row->outcome,
        "code", text_or_null(row->code), "principal", text_or_null(row->principal),
        "token_id", text_or_null(row->token_id), "session", text_or_null(row->session),
        "address", address_of(row->client), "method", row->method, "route",
        text_or_null(row->route), "path", row->path, "object", text_or_null(row->object),
        "revision", revision, "reason", row->reason);
}

/* `client` gets the network that the filter points to. False: the call has its problem.
 */
static bool read_filter(admin_call_t *call, admin_audit_filter_t *filter,
                        l7s_cidr_t *client)
{
    static const char *const names[] = {"outcome", "code", "principal", "method", "path"};
    bool has_client;
    *filter = (admin_audit_filter_t){0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!admin_terms_add(call, names[i], filter->terms, &filter->term_count)) {
            return false;
        }
    }
    if (!admin_terms_client(call, client, &has_client)) {
        return false;
    }
    filter->network = has_client ? client : NULL;
    return admin_page_time(call, "since", &filter->since_ms) &&
           admin_page_time(call, "until", &filter->until_ms);
}

static bool list_one(void *context, const admin_audit_t *row)
{
    char key[24];
    snprintf(key, sizeof key, "%" PRId64, row->seq);
    return admin_page_add(context, key, document_of(row));
}

void admin_audit_list(admin_call_t *call)
{
    admin_page_t page;
    admin_audit_filter_t filter;
    l7s_cidr_t client;
    if (!read_filter(call, &filter, &client) || !admin_page_begin(call, &page)) {
        return;
    }
    char *end;
    filter.before_seq = strtoll(page.after, &end, 10);
    if (page.after[0] != '\0' && (*end != '\0' || filter.before_seq < 1)) {
        admin_page_clear(&page);
        admin_call_problem(call, "invalid_cursor", "This cursor is of another list.");
        return;
    }
    admin_trail_flush(call->daemon->trail, call->now_ms);
    l7s_status_t status = admin_audit_each(call->daemon->store, &filter, list_one, &page);
    if (status != L7S_OK) {
        admin_page_clear(&page);
        admin_call_failed(call, status);
        return;
    }
    admin_page_reply(call, &page);
}
