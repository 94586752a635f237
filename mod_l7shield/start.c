/* SPDX-License-Identifier: Apache-2.0
 *
 * From httpd's configuration to a process that can judge requests: as the parent, once
 * for each configuration. What goes wrong here ends the start with a sentence; nothing
 * that happens later does.
 */
#include "start.h"

#include "answer_filter.h"
#include "directives.h"
#include "launch.h"
#include "policy_check.h"
#include "shared_memory.h"
#include "sync_process.h"
#include "workers.h"

#include "ap_mpm.h"
#include "http_core.h"

/* httpd reads its configuration twice at a start; the first pass is a rehearsal, and all
 * that `apachectl -t` does. */
static bool is_rehearsal(void)
{
    return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG;
}

int shield_start_anew(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool)
{
    (void)log_pool;
    (void)temp_pool;
    shield_node_reset(pool);
    return OK;
}

/* Only the rehearsal may fail for a bad policy file, or for a program that is not there.
 * In a restart httpd would end, so there the log says what is wrong, and the policies in
 * force stay. */
int shield_start_check(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool,
                       server_rec *server)
{
    (void)pool;
    (void)log_pool;
    const shield_node_t *node = shield_node();
    const char *problem = shield_node_problem(node);
    if (problem) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server, "%s", problem);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!is_rehearsal()) {
        return OK;
    }
    problem = shield_launch_problem(temp_pool, node);
    if (problem) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server, "%s", problem);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return !node->policy_file || shield_policy_check(temp_pool, server, node)
               ? OK
               : HTTP_INTERNAL_SERVER_ERROR;
}

static void build_proxies(apr_pool_t *pool, const shield_node_t *node)
{
    size_t count = (size_t)node->proxies->nelts;
    l7s_addr_range_t *ranges = apr_palloc(pool, (count + 1) * sizeof(*ranges));
    shield_process.proxies_count =
        l7s_cidrset_build((l7s_cidr_t *)node->proxies->elts, count, ranges);
    shield_process.proxies = ranges;
}

int shield_start(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool,
                 server_rec *server)
{
    (void)log_pool;
    (void)temp_pool;
    if (is_rehearsal()) {
        return OK;
    }
    const shield_node_t *node = shield_node();
    int is_async = 0;
    shield_process.node = node;
    (void)ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async);
    shield_process.is_async = is_async != 0;
    build_proxies(pool, node);
    const shield_segment_t *segment = shield_segment_open(server, node->memory);
    if (!segment) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    shield_process.shared.geo = node->geo;
    atomic_store(&shield_process.shared.header->geo_files,
                 node->geo ? l7s_geo_files(node->geo) : 0);
    shield_answer_start();
    (void)shield_workers(pool, server);
    shield_sync_start(pool, server, node, segment);
    return OK;
}
