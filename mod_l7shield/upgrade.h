/* SPDX-License-Identifier: Apache-2.0
 *
 * `Upgrade: h2c`: one request that httpd sees twice, first as HTTP/1.1 and then as the
 * first stream of the HTTP/2 connection. It is judged and counted once.
 */
#ifndef SHIELD_UPGRADE_H
#define SHIELD_UPGRADE_H

#include "process.h"

/* A protocol_switch hook, to be run before all others. Always DECLINED. */
int shield_upgrade(conn_rec *c, request_rec *r, server_rec *server, const char *protocol);

/* Is this the first stream, judged as a request of HTTP/1.1? Then what was kept with that
 * is kept with it. */
bool shield_upgrade_judged(request_rec *r);

#endif
