/* SPDX-License-Identifier: Apache-2.0
 *
 * Items of the bus: a payload in a sealed envelope. The seal covers kind, name, sender,
 * time and payload, so an item can be neither changed, nor moved to another name, nor
 * replayed outside the allowed skew. Pure: bytes in, bytes out; the caller moves them.
 *
 *   0 "L7B1"  4 kind u8  5 seal u8 (1 Ed25519, 2 HMAC)  6 reserved u16
 *   8 sealed_at_ms u64 LE   16 payload size u32 LE   20 sender and secret id, NUL-padded
 *   (64 + 32 bytes)   116 payload   then the signature (64 bytes) or the MAC (32)
 */
#ifndef L7S_BUS_ITEM_H
#define L7S_BUS_ITEM_H

#include "pool.h"
#include "trust.h"

typedef enum {
    L7S_ITEM_HEAD = 1, /* daemon: {"bus_epoch":HEX}; fixed name */
    L7S_ITEM_MODE,     /* daemon: the kill switch; fixed name; text, see mode_item */
    L7S_ITEM_MANIFEST, /* daemon: what is in force, see manifest.h */
    L7S_ITEM_CHUNK,    /* named by its content hash; not sealed: the manifest is */
    L7S_ITEM_SEAT,     /* node: its heartbeat */
    L7S_ITEM_BAN,      /* node or daemon: one entry of the ban log */
    L7S_ITEM_INCIDENT, /* node: one entry of its incident log */
    L7S_ITEM_ACK,      /* daemon: {"node","sequence"}: incidents up to it are stored */
    L7S_ITEM_NEWS      /* node: counters near their limit; many sealed items per name */
} l7s_item_kind_t;

#define L7S_ITEM_SKEW_MS 30000

/* The name of an item in memcached: "l7s1" and 22 characters, keyed. `bus_epoch` is ""
 * for head and mode; `index` numbers seats and log entries, `detail` names the node or
 * the content hash ("" when there is none). */
void l7s_item_name(const l7s_hashkey_t *name_key, const char *bus_epoch,
                   l7s_item_kind_t kind, const char *detail, uint64_t index,
                   char out[L7S_ITEM_NAME_MAX]);

/* Seals `payload`: Ed25519 for daemon kinds (needs the signing key) and for bans with
 * `as_daemon`, else HMAC under the first secret. *out is malloc'ed, owned by the caller.
 */
L7S_MUST_USE l7s_status_t l7s_item_seal(const l7s_trust_t *trust, l7s_item_kind_t kind,
                                        const char *name, const char *sender,
                                        bool as_daemon, const void *payload, size_t size,
                                        uint64_t now_ms, void **out, size_t *out_size);

typedef struct {
    bool by_daemon; /* which seal held */
    uint64_t sealed_at_ms;
    char sender[64];
    const char *payload; /* borrowed from the item; not NUL-terminated */
    size_t size;
} l7s_item_t;

/* Opens an item that was read under `name`. L7S_INVALID: malformed; L7S_UNTRUSTED: the
 * seal does not hold or the wrong party sealed it; L7S_STALE: outside the skew (only for
 * kinds that are not ordered by epoch and revision: seat, ban, incident, ack). A stale
 * item's seal holds and *out is filled, so a reader that catches up on a log, or for whom
 * a replay is harmless (incidents and acks are cumulative), may take it knowingly. */
L7S_MUST_USE l7s_status_t l7s_item_open(const l7s_trust_t *trust, l7s_item_kind_t kind,
                                        const char *name, const void *data, size_t size,
                                        uint64_t now_ms, l7s_item_t *out);

/* How long the first of several items is that stand behind one another under a name; 0:
 * what stands there is none. */
size_t l7s_item_extent(const void *data, size_t size);

/* The mode item, in a format that never changes: "MODE EPOCH NUMBER UNTIL_MS\n". */
typedef struct {
    unsigned mode; /* l7s_mode_t */
    uint64_t config_epoch, number, until_ms;
} l7s_mode_item_t;
size_t l7s_mode_item_write(const l7s_mode_item_t *item, char *out, size_t capacity);
bool l7s_mode_item_read(const char *payload, size_t size, l7s_mode_item_t *out);

#endif
