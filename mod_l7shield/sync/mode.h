/* SPDX-License-Identifier: Apache-2.0
 *
 * How strict this node is: the least strict of the mode file (break glass), the mode item
 * (the fleet's kill switch, apart from policies) and the settings in force. Directives
 * come on top of it in the module.
 */
#ifndef SYNC_MODE_H
#define SYNC_MODE_H

#include "../../core/bus/item.h"
#include "../../core/json/config.h"
#include "../../core/segment/segment.h"

typedef struct sync_mode sync_mode_t;

L7S_MUST_USE l7s_status_t sync_mode_create(const l7s_shared_t *shared,
                                           const char *state_dir, sync_mode_t **out);
void sync_mode_free(sync_mode_t *mode);

/* A mode item from the bus or from the disk. An older one than the last is ignored.
 * Returns true when it is news (worth to be written to the disk). */
bool sync_mode_item(sync_mode_t *mode, const l7s_mode_item_t *item);
/* The newest item seen; false: there was none. */
bool sync_mode_last_item(const sync_mode_t *mode, l7s_mode_item_t *out);

/* The daemon that wrote it is not ours any more. */
void sync_mode_forget_item(sync_mode_t *mode);

/* Looks at the file, combines, writes header->mode and header->because and says a change
 * in the log. `config` may be NULL. */
void sync_mode_tick(sync_mode_t *mode, const l7s_config_t *config, l7s_now_t now);

#endif
