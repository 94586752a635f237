/* SPDX-License-Identifier: Apache-2.0
 *
 * The route table: what the API consists of. One row per method and path; everything that
 * can be decided about a request before its handler runs stands in its row.
 */
#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include "call.h"
#include <string.h>

enum {
    ADMIN_PRODUCES_JSON = 1,
    ADMIN_PRODUCES_NDJSON = 2,
    ADMIN_PRODUCES_TEXT = 4,
    ADMIN_PRODUCES_EVENTS = 8, /* text/event-stream */
    ADMIN_PRODUCES_BYTES = 16  /* application/octet-stream */
};

#define ADMIN_BODY_NONE 0
#define ADMIN_BODY_SMALL ((size_t)1 << 20)
#define ADMIN_BODY_LARGE ((size_t)32 << 20)
/* JSON, or a log of any size up to what is configured, which goes to a file. */
#define ADMIN_BODY_LOG ((size_t)1 << 21)

typedef struct {
    const char *method;
    const char *pattern; /* "/v1/policies/{name}"; "{name}:rotate" has a fixed tail */
    admin_role_t role;   /* ADMIN_NOBODY: without authentication */
    admin_handler_fn handler;
    size_t body_max;    /* ADMIN_BODY_NONE: a body is an error */
    const char *schema; /* components.schemas.…; NULL: the handler checks the body */
    const char *parameters; /* separated by spaces; "name*" may repeat */
    unsigned produces;
    bool waits; /* may take long although it changes nothing (waiting, large documents) */
} admin_route_t;

typedef enum {
    ADMIN_ROUTE_FOUND,
    ADMIN_ROUTE_NO_PATH,
    ADMIN_ROUTE_NO_METHOD
} admin_found_t;

#define ADMIN_ROUTE_ALLOW_MAX 64

/* Finds the route and cuts `path` (changed in place) into `parameters`, which point into
 * it. HEAD is GET. `allow` gets the methods of the path for ADMIN_ROUTE_NO_METHOD. */
admin_found_t admin_route_find(const char *method, char *path, const admin_route_t **out,
                               const char *parameters[ADMIN_PARAMETERS_MAX],
                               char allow[ADMIN_ROUTE_ALLOW_MAX]);

/* Can it change anything (which may be audited and tried with dry_run)? */
static inline bool admin_route_changes(const admin_route_t *route)
{
    return strcmp(route->method, "GET") != 0 && route->role != ADMIN_VIEWER;
}

/* Does the route know this query parameter? 0 no, 1 once, 2 may repeat. `pretty` is known
 * everywhere, `dry_run` by everything that changes something. */
int admin_route_parameter(const admin_route_t *route, const char *name);
/* The known parameter that is nearest to `name`, copied to `out`; "" when none is near.
 */
void admin_route_suggest(const admin_route_t *route, const char *name, char out[40]);

size_t admin_route_count(void);
const admin_route_t *admin_route_at(size_t index);
size_t admin_route_index(const admin_route_t *route); /* admin_route_count() for NULL */

#endif
