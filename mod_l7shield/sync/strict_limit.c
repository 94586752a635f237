/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict_limit.h. An item's value is the arrival time as a decimal number.
 */
#include "strict_limit.h"
#include <stdio.h>

int sync_limit_read(const sync_limit_t *limit, char out[SYNC_COMMAND_MAX])
{
    return snprintf(out, SYNC_COMMAND_MAX, "mg %s c v\r\n", limit->name);
}

int sync_limit_write(const sync_limit_t *limit, uint64_t wall_us,
                     char out[SYNC_COMMAND_MAX])
{
    char mode[24] = "ME", value[24];
    unsigned long long ttl = l7s_strict_ttl(&limit->rate, limit->state.tat, wall_us);
    int size =
        snprintf(value, sizeof value, "%llu", (unsigned long long)limit->state.tat);

    if (!limit->absent) {
        (void)snprintf(mode, sizeof mode, "C%llu", (unsigned long long)limit->cas);
    }
    return snprintf(out, SYNC_COMMAND_MAX, "ms %s %d %s T%llu\r\n%s\r\n", limit->name,
                    size, mode, ttl, value);
}

int sync_limit_delete(const char *name, char out[SYNC_COMMAND_MAX])
{
    return snprintf(out, SYNC_COMMAND_MAX, "md %s\r\n", name);
}

void sync_limit_note(sync_limit_t *limit, uint64_t used, const sync_strict_reply_t *reply,
                     uint64_t wall_us)
{
    limit->absent = reply->kind == SYNC_STRICT_ABSENT;
    limit->cas = reply->cas;
    limit->state = limit->absent ? l7s_strict_absent(&limit->rate, used, wall_us)
                                 : l7s_strict_found(&limit->rate, reply->tat, wall_us);
}

bool sync_limits_take(sync_limit_t *limits, uint32_t count, uint32_t cost,
                      uint64_t wall_us)
{
    l7s_strict_tat_t states[L7S_STRICT_LIMITS];

    for (uint32_t i = 0; i < count; i++) {
        states[i] = limits[i].state;
        if (!limits[i].written &&
            !l7s_strict_take(&limits[i].rate, &states[i], wall_us, cost)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        limits[i].state = states[i];
    }
    return true;
}
