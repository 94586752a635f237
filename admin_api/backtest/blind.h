/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy asks for and an access log does not tell: there a backtest can only say
 * what would have happened without it.
 */
#ifndef ADMIN_BLIND_H
#define ADMIN_BLIND_H

#include "../../core/json/config.h"

/* What the lines of a log told. */
typedef struct {
    bool full;  /* they are JSON: sizes, durations, signals */
    bool hosts; /* some of them named a host */
} admin_told_t;

/* [{"policy","pointer","message"}] New reference. */
json_t *admin_blind(const l7s_config_t *config, const admin_told_t *told);

#endif
