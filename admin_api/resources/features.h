/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration needs of nodes and an older one of them may lack: such a node
 * would refuse the whole snapshot and stay with what it has. So the daemon asks the seats
 * first.
 */
#ifndef ADMIN_FEATURES_H
#define ADMIN_FEATURES_H

#include "../store/store_objects.h"

/* Their names, new: what this version knows of. */
json_t *admin_features(void);

/* Do all live nodes have what these changes need? Without live nodes, or with
 * ?force=true, nobody is asked. False: the call has its problem, which names the nodes.
 */
bool admin_features_check(admin_call_t *call, const admin_change_t *changes,
                          size_t count);

#endif
