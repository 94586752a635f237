/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API says of itself: /v1, /openapi.json and the schemas in it.
 */
#include "../../core/clock.h"
#include "../../core/schema/schema.h"
#include "../http/auth.h"
#include "../http/problem.h"
#include "../store/store_objects.h"
#include "features.h"
#include "resources.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page that was loaded anew needs the csrf token again. */
static json_t *session_of(const admin_call_t *call)
{
    char expires[L7S_TIME_TEXT];
    const admin_session_t *session = &call->identity->session;
    if (session->id[0] == '\0') {
        return NULL;
    }
    l7s_time_text(session->expires_ms, expires);
    return json_pack("{s:s, s:s, s:s}", "id", session->id, "csrf_token", session->csrf,
                     "expires_at", expires);
}

void admin_root_get(admin_call_t *call)
{
    const admin_store_t *store = call->daemon->store;
    admin_call_reply(call, 200,
                     json_pack("{s:s, s:s, s:o, s:I, s:I, s:{s:s, s:s, s:o*}}", "name",
                               "l7shieldd", "version", L7S_VERSION, "features",
                               admin_features(), "config_epoch",
                               (json_int_t)admin_store_config_epoch(store), "revision",
                               (json_int_t)admin_store_revision(call->daemon->store),
                               "caller", "principal", call->principal, "role",
                               admin_role_name(call->role), "session", session_of(call)));
}

void admin_root_openapi(admin_call_t *call)
{
    size_t size;
    const char *text = l7s_openapi_text(&size);
    call->text = strndup(text, size);
    if (call->text == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    call->status = 200;
    call->content_type = "application/json";
}

/* "list_entry.json" or "list-entry.json" is components.schemas.ListEntry. */
static bool schema_name(const char *file, char out[64])
{
    size_t size = strlen(file), used = 0;
    if (size < 6 || size >= 64 || strcmp(file + size - 5, ".json") != 0) {
        return false;
    }
    bool upper = true;
    for (size_t i = 0; i < size - 5; i++) {
        if (file[i] == '_' || file[i] == '-') {
            upper = true;
            continue;
        }
        out[used++] = upper ? (char)toupper((unsigned char)file[i]) : file[i];
        upper = false;
    }
    out[used] = '\0';
    return used > 0;
}

/* The schema with all others beside it, so that its references hold. */
void admin_root_schema(admin_call_t *call)
{
    char name[64], reference[96];
    json_t *all =
        json_object_get(json_object_get(l7s_openapi(), "components"), "schemas");
    if (!schema_name(call->parameters[0], name) || json_object_get(all, name) == NULL) {
        admin_call_problem(call, "not_found", "There is no schema of that name.");
        return;
    }
    snprintf(reference, sizeof reference, "#/components/schemas/%s", name);
    admin_call_reply(call, 200,
                     json_pack("{s:s, s:s, s:s, s:{s:O}}", "$schema",
                               "https://json-schema.org/draft/2020-12/schema", "title",
                               name, "$ref", reference, "components", "schemas", all));
}
