/* SPDX-License-Identifier: Apache-2.0
 *
 * The mode item as this daemon last knew it, and its order. Items are ordered by
 * (config_epoch, number), and nodes obey the highest that they ever saw. Two write them:
 * the daemon, whenever settings.mode or mode_until is set, and `l7shieldd emergency`,
 * with or without a daemon. Each takes the number behind the highest that it knows of, so
 * whoever spoke last is obeyed:
 *
 *  - An emergency that stands on the bus is taken over: it survives restarts of the
 *    daemon, changes of anything else and the loss of memcached.
 *  - Setting the mode through the API after an emergency ends it.
 *  - A higher config_epoch keeps the item that is in force and carries it on.
 */
#ifndef ADMIN_KILL_SWITCH_H
#define ADMIN_KILL_SWITCH_H

#include "../../core/bus/item.h"
#include "../store/store.h"

#define ADMIN_KILL_SWITCH_TEXT 128

typedef struct {
    l7s_mode_item_t item; /* in force */
    unsigned set_mode; /* the settings that were last obeyed: the item says something */
    uint64_t set_until_ms; /* else while an emergency is in force */
} admin_kill_switch_t;

/* L7S_NOT_FOUND: never written. */
L7S_MUST_USE l7s_status_t admin_kill_switch_load(admin_store_t *store,
                                                 admin_kill_switch_t *out);
/* Also writes the event of a mode that is another than before. */
L7S_MUST_USE l7s_status_t admin_kill_switch_save(admin_store_t *store,
                                                 const admin_kill_switch_t *state);

/* Once the time of the mode in force is over, tells so, once; opens its own transaction.
 */
L7S_MUST_USE l7s_status_t admin_kill_switch_tell_end(admin_store_t *store,
                                                     uint64_t now_ms);

/* The settings say `mode` until `until_ms`, in this epoch and revision. Makes a new item
 * when they say something new, or when `spoken`: an operator said it just now. `known`
 * false: `state` is the first one. True: *state changed. */
bool admin_kill_switch_set(admin_kill_switch_t *state, bool known, bool spoken,
                           const l7s_mode_item_t *settings);
/* Another item than ours lies on the bus under our signature. True: it is in force now;
 * false: it is older, ours belongs there. */
bool admin_kill_switch_adopt(admin_kill_switch_t *state, const l7s_mode_item_t *there);
/* Does the item say something else than the settings? */
bool admin_kill_switch_emergency(const admin_kill_switch_t *state);

#endif
