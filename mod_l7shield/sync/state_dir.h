/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder that this process keeps its state in: whether it can, and that nobody else
 * writes there at the same time. Says in the log what is wrong with it.
 */
#ifndef SYNC_STATE_DIR_H
#define SYNC_STATE_DIR_H

#include <stdbool.h>

/* Which one it is (borrowed), before anything is written. As below. */
bool sync_state_dir_take(const char *path);

/* True: no other process has the folder, or it cannot be told; it is ours until this
 * process ends. False: another one has it just now. */
bool sync_state_dir_is_ours(void);

/* One line for each thing that will not work, or that should not be so. */
void sync_state_dir_check(const char *path);

#endif
