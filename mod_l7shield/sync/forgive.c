/* SPDX-License-Identifier: Apache-2.0
 *
 * See forgive.h.
 */
#include "forgive.h"
#include "../../core/decide/limit.h"
#include "../../core/key.h"
#include <unistd.h>

static unsigned reset(const l7s_shared_t *shared, const l7s_image_limit_t *limit,
                      const l7s_hashkey_t *count_key, l7s_part_t part,
                      const l7s_cidr_t *network, l7s_now_t now)
{
    l7s_hash128_t digest = l7s_key_digest_cidr(count_key, part, network);
    l7s_hash128_t key = l7s_hash128_xor(digest, limit->identity);
    l7s_slot_t *slot = l7s_table_find(&shared->table, key);

    if (limit->strict) { /* dropped when the store is away; then it forgets by itself */
        (void)l7s_mailbox_forget(&shared->mailbox, key, (int32_t)getpid());
    }
    if (slot == NULL) {
        return 0;
    }
    atomic_store(&slot->tat, l7s_limit_fresh(limit, now.mono_us));
    atomic_store(&slot->pending, 0);
    return 1;
}

unsigned sync_forgive_network(const l7s_shared_t *shared, const l7s_image_t *image,
                              const l7s_cidr_t *network, l7s_now_t now)
{
    uint32_t count = 0;
    unsigned forgiven = 0;
    const l7s_image_limit_t *limits = l7s_image_limits(image, &count);
    const l7s_hashkey_t *count_key = l7s_image_count_key(image);
    l7s_cidr_t client = l7s_addr_client(&network->base);
    bool v4 = l7s_addr_is_v4(&network->base);

    for (uint32_t i = 0; i < count; i++) {
        const l7s_image_limit_t *limit = &limits[i];
        if (limit->by_client && network->prefix >= client.prefix) {
            forgiven += reset(shared, limit, count_key, L7S_PART_CLIENT, &client, now);
        }
        uint8_t width = v4 ? (uint8_t)(96 + limit->ipv4_prefix) : limit->ipv6_prefix;
        if (limit->by_network && network->prefix >= width) {
            l7s_cidr_t wide = {l7s_addr_mask(&network->base, width), width};
            forgiven += reset(shared, limit, count_key, L7S_PART_NETWORK, &wide, now);
        }
    }
    return forgiven;
}
