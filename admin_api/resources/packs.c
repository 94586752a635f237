/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/packs: ready-made sets of policies and lists (conf/packs), which the program
 * carries with it. They only watch until an operator says enforce.
 */
#include "../http/page.h"
#include "../http/problem.h"
#include "../store/store_objects.h"
#include "resources.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

extern const char l7s_packs_begin[], l7s_packs_end[];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static json_t *packs; /* by name; never changes once it is read */

static void read_packs(void)
{
    packs = json_loadb(l7s_packs_begin, (size_t)(l7s_packs_end - l7s_packs_begin),
                       JSON_REJECT_DUPLICATES, NULL);
}

static json_t *all_packs(void)
{
    pthread_once(&once, read_packs);
    return packs;
}

static json_t *names_of(const json_t *pack, const char *member)
{
    json_t *out = json_array(), *object;
    size_t index;

    json_array_foreach(json_object_get(pack, member), index, object)
    {
        json_array_append(out, json_object_get(object, "name"));
    }
    return out;
}

void admin_packs_list(admin_call_t *call)
{
    admin_page_t page;
    const char *name;
    json_t *pack;
    bool more = true;

    if (!admin_page_begin(call, &page)) {
        return;
    }
    json_object_foreach(all_packs(), name, pack) /* sorted by name: CMake lists them so */
    {
        if (more && strcmp(name, page.after) > 0) {
            more = admin_page_add(&page, name,
                                  json_pack("{s:s, s:o, s:o}", "name", name, "policies",
                                            names_of(pack, "policies"), "lists",
                                            names_of(pack, "lists")));
        }
    }
    admin_page_reply(&page, L7S_OK);
}

void admin_packs_get(admin_call_t *call)
{
    json_t *pack = json_object_get(all_packs(), call->parameters[0]);
    char etag[ADMIN_ETAG_MAX];

    if (pack == NULL) {
        admin_call_problem(call, "not_found", "There is no pack of this name.");
        return;
    }
    l7s_status_t status = admin_etag(pack, etag);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return;
    }
    admin_call_reply_tagged(call, 200, etag, json_incref(pack));
}
