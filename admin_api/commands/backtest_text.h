/* SPDX-License-Identifier: Apache-2.0
 *
 * The result of a backtest for people: what would have been stopped, whom that touches,
 * and what it looks like over time, on a screen of 80 columns.
 */
#ifndef ADMIN_BACKTEST_TEXT_H
#define ADMIN_BACKTEST_TEXT_H

#include <jansson.h>
#include <stdio.h>

/* `result`: of the schema BacktestResult. */
void admin_backtest_print(const json_t *result, FILE *out);

#endif
