/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a configuration's objects: each may stand there once, and what a policy
 * refers to must be there. Sorted, so that neither check is quadratic.
 */
#ifndef L7S_CONFIG_NAMES_H
#define L7S_CONFIG_NAMES_H

#include "config_reader.h"

typedef struct {
    const char *name; /* borrowed from the object */
    size_t index;     /* in the document */
} l7s_name_t;

typedef struct {
    const char *kind, *member; /* "policy", "policies" */
    size_t count;
    l7s_name_t *items; /* by name, then index; without the empty ones */
} l7s_names_t;

/* `objects` are `count` structs of `size` bytes that begin with their name. */
void l7s_names_begin(l7s_reader_t *reader, l7s_names_t *names, const char *kind,
                     const char *member, const char *objects, size_t count, size_t size);
/* Problem "duplicate_name" for the second and every further one. */
void l7s_names_check(l7s_reader_t *reader, const l7s_names_t *names);
void l7s_names_end(l7s_names_t *names);

/* Problems "list_unknown", "list_kind" (strings where addresses are wanted, or the other
 * way round) and "response_unknown" of all policies in `document`. */
void l7s_references_check(l7s_reader_t *reader, const json_t *document,
                          const l7s_names_t *lists, const l7s_names_t *responses);

#endif
