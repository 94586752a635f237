/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/audit: who changed what, and who was refused, newest first. Nobody can change it,
 * and settings.privacy does not apply to it.
 */
#include "../../core/addr.h"
#include "../../core/json/json_time.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/trail.h"
#include "../store/store_audit.h"
#include "resources.h"

#include <string.h>

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
        "id", (json_int_t)row->seq, "at", l7s_json_time(row->at_ms), "last_at",
        l7s_json_time(row->last_ms), "count", (json_int_t)row->count, "outcome",
        row->outcome, "code", text_or_null(row->code), "principal",
        text_or_null(row->principal), "token_id", text_or_null(row->token_id), "session",
        text_or_null(row->session), "address", address_of(row->client), "method",
        row->method, "route", text_or_null(row->route), "path", row->path, "object",
        text_or_null(row->object), "revision", revision, "reason", row->reason);
}

static bool list_one(void *context, const admin_audit_t *row)
{
    return admin_page_add_number(context, row->seq, document_of(row));
}

void admin_audit_list(admin_call_t *call)
{
    static const char *const columns[] = {"outcome", "code", "principal",
                                          "method",  "path", NULL};
    admin_page_t page;
    admin_audit_filter_t filter;
    if (!admin_parameter_selection(call, columns, &filter.rows) ||
        !admin_page_begin(call, &page) ||
        !admin_page_after_number(&page, &filter.before_seq)) {
        return;
    }
    admin_trail_flush(call->daemon->trail, call->now_ms);
    admin_page_reply(&page,
                     admin_audit_each(call->daemon->store, &filter, list_one, &page));
}
