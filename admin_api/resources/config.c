/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/config: everything at once, read and replaced atomically.
 */
#include "resources.h"
#include "whole.h"

#include <stdio.h>

void admin_config_get(admin_call_t *call)
{
    char etag[ADMIN_ETAG_MAX];
    int64_t revision;
    json_t *document = admin_whole_document(call, etag, &revision);
    if (document == NULL) {
        return;
    }
    call->revision = revision;
    if (!call->view_spec) {
        json_object_set_new(document, "status",
                            json_pack("{s:I}", "revision", (json_int_t)revision));
    }
    admin_call_reply_tagged(call, 200, etag, document);
}

void admin_config_put(admin_call_t *call)
{
    admin_whole_replace(call, call->body);
}
