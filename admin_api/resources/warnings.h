/* SPDX-License-Identifier: Apache-2.0
 *
 * What is probably not meant in a policy that is valid (core/json/lint.h), looked at
 * beside what is stored and what nodes told of it.
 */
#ifndef ADMIN_WARNINGS_H
#define ADMIN_WARNINGS_H

#include "../daemon.h"

/* [{"pointer","code","message"}] New reference; NULL: the store cannot be read, or no
 * memory. */
json_t *admin_warnings(const admin_daemon_t *daemon, const char *name, const json_t *spec,
                       uint64_t now_ms);

#endif
