/* SPDX-License-Identifier: Apache-2.0
 *
 * One validation under way: shared by the keywords of single values (schema_scalar.c) and
 * those of arrays, objects and combinations (schema_validate.c), and by nobody else.
 */
#ifndef L7S_SCHEMA_CHECK_H
#define L7S_SCHEMA_CHECK_H

#include "json_pointer.h"
#include "schema_node.h"

typedef struct {
    const l7s_schema_t *schema;
    l7s_problems_t *problems; /* NULL: only the answer matters */
    l7s_pointer_t at;
    unsigned frames; /* schemas entered: bounds endless references */
} l7s_check_t;

/* Reports a problem and is false, so that a keyword can return it. */
bool l7s_check_wrong(l7s_check_t *c, const char *code, const char *format, ...)
    L7S_PRINTF(3, 4);
/* Would one more problem be kept? */
bool l7s_check_kept(const l7s_check_t *c);
/* Is `word` one of x-unsupported, literally or by "prefix:*"? */
bool l7s_check_unsupported(const l7s_schema_node_t *node, const char *word);
bool l7s_check_matches(const regex_t *pattern, const char *text);

/* Each reports what is wrong and returns whether all is well. */
bool l7s_check_type(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value);
bool l7s_check_choice(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value);
bool l7s_check_number(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value);
bool l7s_check_string(l7s_check_t *c, const l7s_schema_node_t *node, const char *text);

#endif
