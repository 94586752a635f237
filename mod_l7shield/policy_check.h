/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the policy file good? Asked before httpd starts.
 */
#ifndef SHIELD_POLICY_CHECK_H
#define SHIELD_POLICY_CHECK_H

#include "process.h"

/* Runs `l7shield-sync --check-policy-file` as httpd's User. False: the file is bad, or
 * the program cannot be run; every problem has been logged. */
bool shield_policy_check(apr_pool_t *pool, server_rec *server, const shield_node_t *node);

#endif
