/* SPDX-License-Identifier: Apache-2.0
 *
 * The request that somebody asks about (/v1/check): from a body, from query parameters or
 * from an incident, in the form in which the engine of a node sees it.
 */
#ifndef ADMIN_CHECK_REQUEST_H
#define ADMIN_CHECK_REQUEST_H

#include "../../core/decide/decide.h"
#include "../../core/path.h"
#include "../http/call.h"

typedef struct {
    l7s_addr_t client;
    char client_text[64];
    char method[32], host[256], path[L7S_PATH_MAX + 1], app[L7S_POLICY_NAME_MAX];
    char target[2 * L7S_PATH_MAX]; /* as it was given, with its query */
    char user[1024];               /* "": nobody */
    /* The same as they can stand in an answer: what is not UTF-8 is replaced. */
    char shown_host[256], shown_path[L7S_PATH_MAX + 1];
    l7s_memo_t memo;  /* knows where the client comes from, if anybody said */
    json_t *headers;  /* by their names in lower case; owned */
    json_t *incident; /* the record that it was taken from, or NULL; owned */
    l7s_scratch_t *scratch;
} admin_check_request_t;

/* An empty one. */
void admin_check_request_begin(admin_check_request_t *out);
/* What stands in an object with the members of the schema Check; `pointer`: where its
 * client stands. Into an empty one; false: the call has its problem. */
bool admin_check_request_members(admin_call_t *call, const json_t *body,
                                 const char *pointer, admin_check_request_t *out);

/* False: the call has its problem. Clear in every case. */
bool admin_check_request_read(admin_call_t *call, admin_check_request_t *out);
void admin_check_request_clear(admin_check_request_t *request);

/* As the engine wants it; borrows from `request`. */
l7s_request_t admin_check_request_facts(admin_check_request_t *request);

#endif
