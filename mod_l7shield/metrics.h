/* SPDX-License-Identifier: Apache-2.0
 *
 * This node's own figures over HTTP, daemon or no daemon.
 */
#ifndef SHIELD_METRICS_H
#define SHIELD_METRICS_H

#include "process.h"

/* The handler of `SetHandler l7shield-metrics`: Prometheus text. */
int shield_metrics(request_rec *r);

#endif
