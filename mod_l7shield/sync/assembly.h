/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a manifest are to a node: the bans on one side, on the other side the
 * one document that is parsed and compiled.
 */
#ifndef SYNC_ASSEMBLY_H
#define SYNC_ASSEMBLY_H

#include "parts.h"

/* Is this entry of a manifest's parts the whole set of bans? */
bool sync_manifest_is_bans(const json_t *entry);

/* All parts but the bans as one document for l7s_config_parse. New reference; NULL: a
 * part is not here. */
json_t *sync_manifest_assemble(const json_t *manifest, const sync_parts_t *parts);

/* Would both make the same image? Compares all but the bans, by content hash. */
bool sync_manifest_same_policies(const json_t *a, const json_t *b);

#endif
