/* SPDX-License-Identifier: Apache-2.0
 *
 * One strict limit while it is being asked about: what the store said, what is taken from
 * it, and the commands that read, write and delete it. Sends nothing.
 */
#ifndef SYNC_STRICT_LIMIT_H
#define SYNC_STRICT_LIMIT_H

#include "../../core/count/strict.h"
#include "strict_reply.h"

#define SYNC_COMMAND_MAX 128

typedef struct {
    char name[L7S_STRICT_NAME]; /* of its item in the store */
    l7s_rate_t rate;
    uint32_t server;
    bool on_the_way; /* a command about it */
    bool written;    /* as it stands in `state` */
    bool absent;     /* from the store, when it was read */
    uint64_t cas;
    l7s_strict_tat_t state;
} sync_limit_t;

/* Each returns the command's size. A write holds only if nobody wrote since the read. */
int sync_limit_read(const sync_limit_t *limit, char out[SYNC_COMMAND_MAX]);
int sync_limit_write(const sync_limit_t *limit, uint64_t wall_us,
                     char out[SYNC_COMMAND_MAX]);
int sync_limit_delete(const char *name, char out[SYNC_COMMAND_MAX]);

/* Takes in the answer to a read. `used`: what a node remembers, should the store have
 * lost its data. */
void sync_limit_note(sync_limit_t *limit, uint64_t used, const sync_strict_reply_t *reply,
                     uint64_t wall_us);

/* Takes the tokens of one question of `cost` from every limit that is not written yet, or
 * of none. */
bool sync_limits_take(sync_limit_t *limits, uint32_t count, uint32_t cost,
                      uint64_t wall_us);

#endif
