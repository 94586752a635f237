/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON Schema validator (draft 2020-12) for the keywords that schemas/ uses. A schema is
 * compiled once; an unknown keyword fails the compilation, so a typo in a schema cannot
 * switch a check off. Validation reports every problem, and for an unknown key the known
 * one that is nearest.
 *
 * Not supported, refused at compilation: $dynamicRef, $dynamicAnchor, $anchor, remote
 * references, unevaluatedItems, unevaluatedProperties, contentSchema.
 */
#ifndef L7S_SCHEMA_H
#define L7S_SCHEMA_H

#include "status.h"
#include <jansson.h>

typedef struct l7s_schema l7s_schema_t;

/* Compiles the schema at `pointer` ("" = whole) of `root`; "$ref" resolves within `root`.
 * Holds a reference to `root`. */
L7S_MUST_USE l7s_status_t l7s_schema_compile(json_t *root, const char *pointer,
                                             l7s_problems_t *problems,
                                             l7s_schema_t **out);
L7S_MUST_USE l7s_status_t l7s_schema_validate(const l7s_schema_t *schema,
                                              const json_t *instance,
                                              l7s_problems_t *problems);
void l7s_schema_free(l7s_schema_t *schema);

/* The embedded contract, parsed once (schemas/openapi.yaml as JSON). Borrowed. */
json_t *l7s_openapi(void);
const char *l7s_openapi_text(size_t *size);
/* The compiled schema of components.schemas.<name>, cached. NULL when there is none. */
const l7s_schema_t *l7s_openapi_schema(const char *name);

#endif
