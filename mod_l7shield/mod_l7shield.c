/* SPDX-License-Identifier: Apache-2.0
 *
 * mod_l7shield: a layer-7 shield inside httpd. This file is the table of contents: which
 * hook does what, in which order, and why there. Each hook lives in the file of its
 * stage.
 *
 * Life: start (configuration, memory, sync process), child_init (pins), then requests:
 * connection stage, head, access checker, fixups, answer.
 */
#include "answer_filter.h"
#include "answered.h"
#include "connection.h"
#include "cors.h"
#include "directives.h"
#include "head.h"
#include "metrics.h"
#include "process.h"
#include "scratch.h"
#include "shared_memory.h"
#include "start.h"
#include "sync_process.h"
#include "upgrade.h"
#include "workers.h"

#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mpm_common.h"

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    /* Forget the directives of the pass before. */
    ap_hook_pre_config(shield_start_anew, NULL, NULL, APR_HOOK_MIDDLE);

    /* `apachectl -t` fails for what a directive alone cannot see. */
    ap_hook_check_config(shield_start_check, NULL, NULL, APR_HOOK_MIDDLE);

    /* As the parent, after the logs are open: shared memory, then the sync process, then
     * its first image, before the first request. */
    ap_hook_post_config(shield_start, NULL, NULL, APR_HOOK_MIDDLE);

    /* How busy the server is, now and then, in the parent. */
    ap_hook_monitor(shield_workers, NULL, NULL, APR_HOOK_MIDDLE);

    /* A sync process that hangs is ended, one that could not be started is. */
    ap_hook_monitor(shield_sync_monitor, NULL, NULL, APR_HOOK_MIDDLE);

    /* Pins belong to a process, and so does what its threads scan with. */
    ap_hook_child_init(shield_segment_child, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(shield_scratch_child, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(shield_sync_child, NULL, NULL, APR_HOOK_MIDDLE);

    /* Before mod_reqtimeout, mod_ssl and mod_http2: a banned peer costs no byte of
     * parsing and no handshake. */
    ap_hook_process_connection(shield_connection, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* Before mod_http2 takes over: the request that asks for an upgrade is its first
     * stream, too. */
    ap_hook_protocol_switch(shield_upgrade, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* After mod_remoteip (post_read_request), before mod_cache, which would answer from
     * its own quick handler: the cheapest place that knows the client and the head. */
    ap_hook_quick_handler(shield_head, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* Hosts whose sections disagree are judged here, before anybody else's opinion.
     * Subrequests do not interest us, so their authentication need not be repeated. */
    ap_hook_check_access(shield_access, NULL, NULL, APR_HOOK_REALLY_FIRST,
                         AP_AUTH_INTERNAL_PER_CONF);

    /* `Satisfy Any` goes on to authentication after a refusal: say it again before a
     * password is looked at, or guessing would go on, ... */
    ap_hook_check_authn(shield_insist, NULL, NULL, APR_HOOK_REALLY_FIRST,
                        AP_AUTH_INTERNAL_PER_CONF);

    /* ... and where access is granted without one. Now the user is known. */
    ap_hook_fixups(shield_fixups, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* Refusals that scripts of other sites may read. */
    shield_cors_register();

    /* Bodies are counted while they are read, and what back ends tell the shield is taken
     * from an answer before it leaves, whoever wrote it. */
    shield_answer_register();
    ap_hook_insert_filter(shield_answer_filters, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(shield_answer_filters, NULL, NULL, APR_HOOK_LAST);

    /* What the answer tells, before it is logged: other modules have said by then what
     * they think of the request. */
    static const char *const findings[] = {"mod_security2.c", NULL};
    static const char *const logs[] = {"mod_log_config.c", NULL};
    ap_hook_log_transaction(shield_answered, findings, logs, APR_HOOK_MIDDLE);

    /* SetHandler l7shield-metrics. */
    ap_hook_handler(shield_metrics, NULL, NULL, APR_HOOK_MIDDLE);
}

/* The one symbol that leaves this file's library; AP_MODULE_DECLARE_DATA is empty here.
 */
__attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA l7shield_module = {
    STANDARD20_MODULE_STUFF, shield_section_create, shield_section_merge,
    shield_host_create,      shield_host_merge,     shield_directives,
    register_hooks,
#if defined(AP_MODULE_FLAG_NONE)
    AP_MODULE_FLAG_NONE,
#endif
};
