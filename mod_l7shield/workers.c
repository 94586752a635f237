/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at the scoreboard now and then, from httpd's parent, so that no request pays for
 * it. It counts workers, not connections: under the event MPM an idle kept-alive
 * connection holds none.
 */
#include "workers.h"

#include "ap_mpm.h"
#include "scoreboard.h"

static bool is_busy(const worker_score *worker)
{
    switch (worker->status) {
    case SERVER_BUSY_READ:
    case SERVER_BUSY_WRITE:
    case SERVER_BUSY_LOG:
    case SERVER_BUSY_DNS:
    case SERVER_CLOSING:
        return true;
    case SERVER_BUSY_KEEPALIVE: /* prefork and worker: it waits, and is taken */
        return true;
    default:
        return false;
    }
}

int shield_workers(apr_pool_t *pool, server_rec *server)
{
    (void)pool;
    (void)server;
    int daemons = 0, limit = 0, threads = 0;
    uint32_t busy = 0;
    if (!shield_process.attached ||
        ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &daemons) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS) {
        return DECLINED;
    }
    threads = threads > 0 ? threads : 1; /* prefork has none of its own */
    /* At the first start there is no scoreboard yet, and nobody is busy. */
    for (int i = 0; ap_exists_scoreboard_image() && i < limit; i++) {
        for (int j = 0; j < threads; j++) {
            const worker_score *worker = ap_get_scoreboard_worker_from_indexes(i, j);
            busy += worker && is_busy(worker);
        }
    }
    l7s_segment_t *header = shield_process.shared.header;
    atomic_store(&header->workers_busy, busy);
    atomic_store(&header->workers_total, (uint32_t)(daemons * threads));
    return DECLINED;
}
