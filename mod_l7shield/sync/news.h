/* SPDX-License-Identifier: Apache-2.0
 *
 * News between nodes: which counters are near their limit and how full they are. Per
 * tenth of a second there is one item in memcached, to which every node with news appends
 * a sealed part of its own; everybody reads it when that tenth has ended. One read and at
 * most one write per tick, however many counters and nodes there are.
 *
 * News may be lost (a clock that is late, a server that is down): they make counting
 * sharper and are not needed for it.
 */
#ifndef SYNC_NEWS_H
#define SYNC_NEWS_H

#include "../../core/count/fleet.h"
#include "bus.h"

typedef struct sync_news sync_news_t;

typedef struct {
    l7s_hash128_t key;
    uint32_t limit; /* as in the counter's slot */
    l7s_fleet_news_t what;
} sync_news_item_t;

L7S_MUST_USE l7s_status_t sync_news_create(sync_bus_t *bus, sync_news_t **out);
void sync_news_free(sync_news_t *news);

/* Hands over what was told since the last call, this node's own news among it. */
typedef void (*sync_news_fn)(void *context, const sync_news_item_t *item);
void sync_news_read(sync_news_t *news, l7s_now_t now, sync_news_fn hear, void *context);

/* Puts down what is to be told at the end of this tick. False: no more room, since all
 * `live_nodes` together must not outgrow an item. */
bool sync_news_add(sync_news_t *news, const sync_news_item_t *item, uint32_t live_nodes,
                   l7s_now_t now);

/* Tells it. */
void sync_news_tell(sync_news_t *news, l7s_now_t now);

#endif
