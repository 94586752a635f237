/* SPDX-License-Identifier: Apache-2.0
 *
 * A call of the API whose query parameters are lines "name=value" of the input: what its
 * parsers see, without libmicrohttpd.
 */
#ifndef FUZZ_QUERY_H
#define FUZZ_QUERY_H

#include "../../admin_api/http/problem.h"
#include "input.h"

enum { QUERY_LINES_MAX = 32 };

typedef struct {
    admin_call_t call;
    size_t count;
    char *lines[QUERY_LINES_MAX]; /* owned: "name", NUL, value */
} fuzz_query_t;

static const char *fuzz_query_at(const admin_call_t *call, const char *name, size_t index)
{
    const fuzz_query_t *query = call->server;
    for (size_t i = 0; i < query->count; i++) {
        if (strcmp(query->lines[i], name) == 0 && index-- == 0) {
            return query->lines[i] + strlen(name) + 1;
        }
    }
    return NULL;
}

static const char *fuzz_query_get(const admin_call_t *call, const char *name)
{
    return fuzz_query_at(call, name, 0);
}

static inline void fuzz_query_begin(fuzz_query_t *query, fuzz_input_t *input)
{
    memset(query, 0, sizeof *query);
    query->call = (admin_call_t){.path = "/v1/policies",
                                 .now_ms = 1700000000000ULL,
                                 .query = fuzz_query_get,
                                 .query_at = fuzz_query_at,
                                 .server = query};
    while (input->left > 0 && query->count < QUERY_LINES_MAX) {
        char *line = fuzz_line(input), *equals = strchr(line, '=');
        if (equals == NULL) {
            free(line);
            continue;
        }
        *equals = '\0';
        query->lines[query->count++] = line;
    }
}

/* What was answered is a problem with its words, or nothing was. */
static inline void fuzz_query_end(fuzz_query_t *query)
{
    json_decref(query->call.reply);
    free(query->call.text);
    for (size_t i = 0; i < query->count; i++) {
        free(query->lines[i]);
    }
}

#endif
