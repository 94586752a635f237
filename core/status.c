/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the statuses and the bounded collection of problems. It formats; it does not
 * log and does not decide what a problem means.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

void l7s_problems_add(l7s_problems_t *problems, const char *pointer, const char *code,
                      const char *format, ...)
{
    if (problems == NULL) {
        return;
    }
    if (problems->count >= L7S_PROBLEMS_MAX) {
        problems->dropped++;
        return;
    }
    l7s_problem_t *problem = &problems->items[problems->count++];
    snprintf(problem->pointer, sizeof problem->pointer, "%s", pointer);
    snprintf(problem->code, sizeof problem->code, "%s", code);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
}

const char *l7s_status_name(l7s_status_t status)
{
    switch (status) {
    case L7S_OK:
        return "ok";
    case L7S_INVALID:
        return "invalid";
    case L7S_NOT_FOUND:
        return "not_found";
    case L7S_CONFLICT:
        return "conflict";
    case L7S_TOO_BIG:
        return "too_big";
    case L7S_UNTRUSTED:
        return "untrusted";
    case L7S_STALE:
        return "stale";
    case L7S_IO:
        return "io";
    case L7S_TIMEOUT:
        return "timeout";
    case L7S_NO_MEMORY:
        return "no_memory";
    }
    return "unknown";
}
