/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the module share: the module itself, its configuration and the state
 * of this process. Everything here is written while httpd starts (start.c), by one
 * thread, and only read afterwards; what changes at run time lives in the shared segment
 * (core/segment/segment.h).
 */
#ifndef SHIELD_PROCESS_H
#define SHIELD_PROCESS_H

#include "httpd.h" /* before the others, which need it */

#include "http_config.h"
#include "http_log.h"

#include "../core/image/cidrset.h"
#include "../core/segment/segment.h"

extern module AP_MODULE_DECLARE_DATA l7shield_module;
APLOG_USE_MODULE(l7shield);

/* The process-wide directives (base server only), defaults filled in. */
typedef struct {
    const char *name;        /* L7ShieldNode */
    const char *policy_file; /* NULL: none */
    const char *secret_file; /* NULL: none */
    const char *trust_file;  /* NULL: none */
    const char *state_dir;
    const char *sync_program;      /* NULL: beside the module's own file */
    apr_array_header_t *memcached; /* of const char *, "address:port" */
    apr_array_header_t *proxies;   /* of l7s_cidr_t */
    l7s_geo_t *geo;                /* NULL: no database; lives as long as its pool */
    size_t memory;
    int tick_ms;
} shield_node_t;

/* Per virtual host. */
typedef struct {
    bool sections; /* a section of this host sets L7Shield or L7ShieldApp */
} shield_host_t;

/* Per directory; the virtual host's own values are those of its default section. */
typedef struct {
    int mode;        /* l7s_mode_t, -1: not set here */
    const char *app; /* NULL: not set here */
} shield_section_t;

/* What this process knows. Set before the first child, inherited by every one. */
typedef struct {
    const shield_node_t *node;
    bool attached; /* `shared` is valid */
    bool is_async; /* no worker waits for the next request of a kept connection */
    l7s_shared_t shared;
    const l7s_addr_range_t *proxies; /* trusted ones, for l7s_cidrset_contains */
    size_t proxies_count;
} shield_process_t;
extern shield_process_t shield_process;

static inline const shield_host_t *shield_host(const server_rec *server)
{
    return ap_get_module_config(server->module_config, &l7shield_module);
}

static inline l7s_mode_t shield_section_mode(const shield_section_t *section)
{
    return section->mode < 0 ? L7S_MODE_ENFORCE : (l7s_mode_t)section->mode;
}

/* A section, or with `server->lookup_defaults` the virtual host's own values. */
static inline const shield_section_t *shield_section(const ap_conf_vector_t *vector)
{
    return ap_get_module_config(vector, &l7shield_module);
}

static inline bool shield_is_proxy(const l7s_addr_t *addr)
{
    return shield_process.proxies_count > 0 &&
           l7s_cidrset_contains(shield_process.proxies, shield_process.proxies_count,
                                addr);
}

#endif
