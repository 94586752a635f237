/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an object stands in the document that a client sent: problems are found in the
 * whole configuration and must be shown where the client can mend them.
 */
#ifndef ADMIN_BODY_POINTER_H
#define ADMIN_BODY_POINTER_H

#include "../http/call.h"

/* "/policies/3" for `member` "policies"; "" when the body has no object of this name
 * there, or is none of many objects. False then. */
bool admin_body_pointer(const admin_call_t *call, const char *member, const char *name,
                        char out[64]);

/* Makes the pointers of all problems, which lead into `document`, lead into the body.
 * Returns the index of the first that cannot, or the number of problems. */
size_t admin_body_point(admin_call_t *call, const json_t *document);

#endif
