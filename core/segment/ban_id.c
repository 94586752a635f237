/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of bans: text only, no table, no JSON. A '/' would end a path segment of the API,
 * so the prefix of a network follows a '_'.
 */
#include "ban_id.h"

#include <stdio.h>
#include <string.h>

void l7s_ban_id(const l7s_cidr_t *network, char out[L7S_BAN_ID_MAX])
{
    char text[L7S_CIDR_TEXT];
    char *slash;

    l7s_cidr_text(network, text);
    slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '_';
    }
    snprintf(out, L7S_BAN_ID_MAX, "%s:%s", slash != NULL ? "net" : "ip", text);
}

l7s_status_t l7s_ban_id_parse(const char *id, l7s_cidr_t *out)
{
    bool is_network = strncmp(id, "net:", 4) == 0;
    char text[L7S_CIDR_TEXT], canonical[L7S_BAN_ID_MAX];
    size_t length;

    if (!is_network && strncmp(id, "ip:", 3) != 0) {
        return L7S_INVALID;
    }
    id += is_network ? 4 : 3;
    length = strlen(id);
    if (length >= sizeof text || memchr(id, '/', length) != NULL) {
        return L7S_INVALID;
    }
    memcpy(text, id, length + 1);
    if (is_network) {
        char *mark = strchr(text, '_');
        if (mark == NULL) {
            return L7S_INVALID;
        }
        *mark = '/';
    }
    if (l7s_cidr_parse(text, out) != L7S_OK) {
        return L7S_INVALID;
    }
    /* One key, one name: another spelling of it is not an id. */
    l7s_ban_id(out, canonical);
    return strcmp(canonical + (is_network ? 4 : 3), id) == 0 &&
                   strncmp(canonical, is_network ? "net:" : "ip:", 3) == 0
               ? L7S_OK
               : L7S_INVALID;
}

void l7s_ban_id_hash(l7s_part_t part, l7s_hash128_t digest, char out[L7S_BAN_ID_MAX])
{
    char hash[L7S_HASH128_TEXT];

    l7s_hash128_text(digest, hash);
    snprintf(out, L7S_BAN_ID_MAX, "%s:h-%s", l7s_part_name(part), hash);
}
