/* SPDX-License-Identifier: Apache-2.0
 *
 * The last stage: what can be counted only when a request has been answered.
 */
#ifndef SHIELD_ANSWERED_H
#define SHIELD_ANSWERED_H

#include "process.h"

/* A log_transaction hook, to be run before the access log is written. Always DECLINED. */
int shield_answered(request_rec *r);

#endif
