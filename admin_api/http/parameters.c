/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading query parameters (parameters.h).
 */
#include "parameters.h"
#include "../../core/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool admin_parameter_number(admin_call_t *call, const char *name, int64_t min,
                            int64_t max, int64_t *out)
{
    const char *text = call->query(call, name);
    char *end;
    if (text == NULL) {
        return true;
    }
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < min || value > max) {
        admin_call_problem(call, "invalid_parameter",
                           "%s is a number from %" PRId64 " to %" PRId64 ".", name, min,
                           max);
        return false;
    }
    *out = value;
    return true;
}

/* "-15m" before now; s, m, h, d. */
static bool relative_time(const char *text, uint64_t now_ms, uint64_t *out_ms)
{
    char *end;
    if (text[0] != '-' || text[1] < '0' || text[1] > '9') {
        return false;
    }
    unsigned long long count = strtoull(text + 1, &end, 10);
    uint64_t unit = *end == 's'   ? 1000
                    : *end == 'm' ? 60000
                    : *end == 'h' ? 3600000
                    : *end == 'd' ? 86400000
                                  : 0;
    if (unit == 0 || end[1] != '\0' || count > 1000000) {
        return false;
    }
    uint64_t back = (uint64_t)count * unit;
    *out_ms = back < now_ms ? now_ms - back : 1;
    return true;
}

bool admin_parameter_time(admin_call_t *call, const char *name, uint64_t *out_ms)
{
    const char *text = call->query(call, name);
    *out_ms = 0;
    if (text == NULL || relative_time(text, call->now_ms, out_ms) ||
        l7s_time_parse(text, out_ms)) {
        return true;
    }
    admin_call_problem(call, "invalid_parameter",
                       "%s is a time like 2026-01-31T23:59:59Z, or -15m (s, m, h, d)%s.",
                       name, strchr(text, ' ') != NULL ? "; write \"+\" as %2B" : "");
    return false;
}

static bool read_term(admin_call_t *call, const char *name, admin_selection_t *rows)
{
    admin_term_t *term = &rows->terms[rows->term_count];
    const char *value = call->query_at(call, name, 0);
    *term = (admin_term_t){.column = name};
    while (value != NULL && term->count < ADMIN_TERM_VALUES_MAX) {
        term->values[term->count++] = value;
        value = call->query_at(call, name, term->count);
    }
    if (value != NULL) {
        admin_call_problem(call, "invalid_parameter", "%s may be given at most %d times.",
                           name, ADMIN_TERM_VALUES_MAX);
        return false;
    }
    rows->term_count += term->count > 0 ? 1 : 0;
    return true;
}

static bool read_client(admin_call_t *call, admin_selection_t *rows)
{
    const char *text = call->query(call, "client");
    rows->has_client = text != NULL;
    if (text != NULL && l7s_cidr_parse(text, &rows->client) != L7S_OK) {
        admin_call_problem(call, "invalid_parameter",
                           "client must be an address or a network without host bits.");
        return false;
    }
    return true;
}

bool admin_parameter_selection(admin_call_t *call, const char *const *columns,
                               admin_selection_t *out)
{
    *out = (admin_selection_t){0};
    for (; *columns != NULL; columns++) {
        if (!read_term(call, *columns, out)) {
            return false;
        }
    }
    return read_client(call, out) &&
           admin_parameter_time(call, "since", &out->since_ms) &&
           admin_parameter_time(call, "until", &out->until_ms);
}
