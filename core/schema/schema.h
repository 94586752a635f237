/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON Schema validator (draft 2020-12) for the keywords that schemas/ uses. A schema
 * is compiled once; an unknown keyword fails the compilation, so a typo in a schema
 * cannot switch a check off. Validation reports every problem, and for an unknown key the
 * known one that is nearest.
 *
 * Not supported, refused at compilation: $id, $anchor, $dynamicRef, $dynamicAnchor,
 * $vocabulary, unevaluatedItems, unevaluatedProperties, contentSchema, a $schema of
 * another draft, a $ref out of the document, and in patterns what POSIX cannot say
 * (look-around, back references, lazy repeats, \p). All else of the draft is, by every
 * case of its official suite (tests/core/test_schema.c).
 *
 * Two keywords of our own: "x-unsupported" (names of members, or values of an enum, that
 * API.md describes and this version refuses with the problem "unsupported"; "name:*" for
 * a prefix) and "x-message" (what a failed pattern, not, anyOf or oneOf means).
 */
#ifndef L7S_SCHEMA_H
#define L7S_SCHEMA_H

#include "../status.h"
#include <jansson.h>
#include <stdint.h>

typedef struct l7s_schema l7s_schema_t;

/* Compiles the schema at `pointer` ("" = whole) of `root`; "$ref" resolves within `root`.
 * Holds a reference to `root`. */
L7S_MUST_USE l7s_status_t l7s_schema_compile(json_t *root, const char *pointer,
                                             l7s_problems_t *problems,
                                             l7s_schema_t **out);
/* From now on "format": "date-time" is checked; by the specification it only annotates.
 */
void l7s_schema_assert_formats(l7s_schema_t *schema);
/* Reports every problem (`problems` may be NULL). L7S_OK or L7S_INVALID. */
L7S_MUST_USE l7s_status_t l7s_schema_validate(const l7s_schema_t *schema,
                                              const json_t *instance,
                                              l7s_problems_t *problems);
void l7s_schema_free(l7s_schema_t *schema);

/* Equal as JSON values: 1 and 1.0 are, the order of an object's members is nothing. */
bool l7s_json_equal(const json_t *a, const json_t *b);
/* Is it an integer as JSON Schema means it (1.0 is one)? Then *out has its value. */
bool l7s_json_integer(const json_t *value, int64_t *out);
/* Its value; `otherwise` when it is none. jansson's own function takes 1.0 for 0. */
int64_t l7s_json_integer_or(const json_t *value, int64_t otherwise);

/* The embedded contract, parsed once (schemas/openapi.yaml as JSON). Borrowed. */
json_t *l7s_openapi(void);
const char *l7s_openapi_text(size_t *size);
/* The compiled schema of components.schemas.<name>, cached. NULL when there is none. */
const l7s_schema_t *l7s_openapi_schema(const char *name);

#endif
