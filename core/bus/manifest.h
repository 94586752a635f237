/* SPDX-License-Identifier: Apache-2.0
 *
 * How a configuration travels: parts (the policies with apps, responses and settings; one
 * per list; the set of active bans), each JSON text, compressed, cut into chunks that are
 * named by their content hash; and a small signed manifest that lists them in order. A
 * part that did not change keeps its hashes and is not fetched again.
 *
 * Manifest payload (JSON):
 * {"config_epoch":1,"revision":41,"secret_id":"k1","bans_generation":7,
 *  "ban_log":120,                       first ban log entry that `bans` does not contain
 *  "parts":[{"name":"policies","size":1234,"chunks":["HEX64",…]},
 *           {"name":"list/office",…},{"name":"bans",…}]}
 */
#ifndef L7S_BUS_MANIFEST_H
#define L7S_BUS_MANIFEST_H

#include "item.h"
#include <jansson.h>

#define L7S_CHUNK_SIZE (200 * 1024)
#define L7S_PARTS_MAX 1100
#define L7S_SNAPSHOT_MAX ((size_t)64 << 20)

/* One chunk, ready to be stored under l7s_item_name(…, L7S_ITEM_CHUNK, hash, 0). */
typedef struct {
    char hash[L7S_SHA256_TEXT];
    void *data;
    size_t size;
} l7s_chunk_t;

/* Compresses and cuts `text`. Adds {"name","size","chunks"} to the array `parts` and
 * appends to *chunks (realloc'ed; free with l7s_chunks_free). */
L7S_MUST_USE l7s_status_t l7s_manifest_add(json_t *parts, const char *name,
                                           const char *text, size_t size,
                                           l7s_chunk_t **chunks, size_t *count);
void l7s_chunks_free(l7s_chunk_t *chunks, size_t count);

/* The text of one part from its chunks; `fetch` returns a chunk's bytes (malloc'ed, owned
 * by the callee) or NULL. Verifies each hash and the size. *out is malloc'ed and
 * NUL-terminated. L7S_NOT_FOUND: a chunk is missing; L7S_UNTRUSTED: a hash differs. */
typedef void *(*l7s_chunk_fetch_fn)(void *context, const char *hash, size_t *size);
L7S_MUST_USE l7s_status_t l7s_manifest_part(const json_t *part, l7s_chunk_fetch_fn fetch,
                                            void *context, char **out, size_t *size);

/* Is this a manifest with sane members? */
L7S_MUST_USE l7s_status_t l7s_manifest_check(const json_t *manifest);

/* The order of manifests and mode items: by (config_epoch, number). */
int l7s_revision_compare(uint64_t epoch_a, uint64_t a, uint64_t epoch_b, uint64_t b);

#endif
