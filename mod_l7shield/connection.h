/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection stage: who is banned by address is refused before a byte is parsed.
 */
#ifndef SHIELD_CONNECTION_H
#define SHIELD_CONNECTION_H

#include "process.h"

/* A process_connection hook, to be run before all others. OK: refused, the connection
 * ends. DECLINED: go on. */
int shield_connection(conn_rec *c);

#endif
