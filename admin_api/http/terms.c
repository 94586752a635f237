/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters to terms (terms.h).
 */
#include "terms.h"

bool admin_terms_add(admin_call_t *call, const char *name, admin_term_t *terms,
                     size_t *count)
{
    admin_term_t *term = &terms[*count];
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
    *count += term->count > 0 ? 1 : 0;
    return true;
}

bool admin_terms_client(admin_call_t *call, l7s_cidr_t *out, bool *given)
{
    const char *text = call->query(call, "client");
    *given = text != NULL;
    if (text != NULL && l7s_cidr_parse(text, out) != L7S_OK) {
        admin_call_problem(call, "invalid_parameter",
                           "client must be an address or a network without host bits.");
        return false;
    }
    return true;
}
