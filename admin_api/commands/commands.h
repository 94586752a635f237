/* SPDX-License-Identifier: Apache-2.0
 *
 * What l7shieldd does besides serving. Each command reports to stdout or stderr and
 * returns the exit status. All but `emergency` and `backup` want the data directory for
 * themselves: the daemon must be stopped.
 */
#ifndef ADMIN_COMMANDS_H
#define ADMIN_COMMANDS_H

#include "../options.h"
#include "../store/store.h"
#include <stdint.h>

/* Raises config_epoch above everything that the store and the bus know, and draws a new
 * bus_epoch: what a restored backup needs before nodes believe it. */
int admin_new_epoch(const admin_options_t *options);
/* The same in an open store, above `floor` too; prints what it did. */
L7S_MUST_USE l7s_status_t admin_begin_epoch(const admin_options_t *options,
                                            admin_store_t *store, uint64_t floor);

/* Signs a mode item and puts it onto the bus, daemon or no daemon (kill_switch.h). */
int admin_emergency(const admin_options_t *options);

/* Both databases into one file, while the daemon runs or not; and back, with a new
 * epoch. */
int admin_backup(const admin_options_t *options);
int admin_restore(const admin_options_t *options);

/* Policies, lists, apps, responses and settings from the last good snapshot of a node,
 * into an empty data directory. */
int admin_recover(const admin_options_t *options);

/* What policies would have done to the requests of an access log ("-": stdin). Neither
 * keys nor databases are looked at. */
int admin_backtest(const admin_options_t *options);

#endif
