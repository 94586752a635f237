/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client accepts (RFC 9110, section 12.5.1): of one media type by its name, and as
 * far as refusals need to know, HTML for people, problem+json for programs, text for the
 * rest. A request's header is an outsider's text: only its first kilobyte is read, and of
 * it the first 32 ranges.
 */
#ifndef L7S_ACCEPT_H
#define L7S_ACCEPT_H

#include <stdbool.h>

#define L7S_ACCEPT_BYTES_MAX 1024
#define L7S_ACCEPT_RANGES_MAX 32

typedef enum { L7S_FORM_TEXT, L7S_FORM_HTML, L7S_FORM_PROBLEM } l7s_form_t;

/* How the header takes one media type, by the most exact range that covers it. */
typedef struct {
    unsigned weight; /* in thousandths; 0: it refuses the type, or does not name it */
    unsigned place;  /* of that range */
    bool named;      /* by its own name, not by a star */
} l7s_accepted_t;

/* `type` in lower case, like "application/json". */
l7s_accepted_t l7s_accept_type(const char *header, const char *type);

/* The form with the greatest weight; among equals the one that is named most exactly,
 * then the first. Text where the header names none, refuses all, or is NULL. */
l7s_form_t l7s_accept_form(const char *header);

/* Is HTML named and not refused? Browsers say so when they navigate; programs, feeds and
 * scripts that take whatever comes do not. */
bool l7s_accept_names_html(const char *header);

#endif
