/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /v1/bans?format=plain and ?format=nft: the banned networks for firewalls and
 * scripts. Other bans than those of addresses mean nothing there and are left out.
 */
#include "bans_text.h"

#include "../http/media.h"
#include "../http/problem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rules are the administrator's; this fills two sets, and may be loaded again and
 * again with "nft -f -". */
static const char nft_head[] =
    "table inet l7shield {\n"
    "    set banned4 { type ipv4_addr; flags interval; auto-merge; }\n"
    "    set banned6 { type ipv6_addr; flags interval; auto-merge; }\n"
    "}\n"
    "flush set inet l7shield banned4\n"
    "flush set inet l7shield banned6\n";

typedef struct {
    FILE *out;
    bool nft;
} text_t;

static bool write_one(void *context, const admin_ban_t *row)
{
    const text_t *text = context;
    char network[L7S_CIDR_TEXT];
    if (row->network == NULL) {
        return true;
    }
    l7s_cidr_text(row->network, network);
    if (text->nft) {
        fprintf(text->out, "add element inet l7shield %s { %s }\n",
                l7s_addr_is_v4(&row->network->base) ? "banned4" : "banned6", network);
    } else {
        fprintf(text->out, "%s\n", network);
    }
    return true;
}

bool admin_bans_text_wanted(const admin_call_t *call)
{
    const char *format = call->query(call, "format");
    return format != NULL
               ? strcmp(format, "json") != 0
               : admin_media_prefers(call->accept, "text/plain", "application/json");
}

void admin_bans_text(admin_call_t *call, const admin_ban_filter_t *filter, bool nft)
{
    char *bytes = NULL;
    size_t size;
    text_t text = {open_memstream(&bytes, &size), nft};
    if (text.out == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    fputs(nft ? nft_head : "", text.out);
    l7s_status_t status = admin_ban_each(call->daemon->store, filter, write_one, &text);
    if (fclose(text.out) != 0 && status == L7S_OK) {
        status = L7S_NO_MEMORY;
    }
    if (status != L7S_OK) {
        free(bytes);
        admin_call_failed(call, status);
        return;
    }
    call->status = 200;
    call->text = bytes;
    call->content_type = "text/plain; charset=utf-8";
}
