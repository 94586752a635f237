/* SPDX-License-Identifier: Apache-2.0
 *
 * The directives. Each refuses a bad value with a sentence that begins with its name and
 * says what is allowed, so that `apachectl -t` is all the help that one needs. Nothing
 * here opens, creates or starts anything.
 *
 * Process-wide values stand in one structure per pass over the configuration; httpd reads
 * its configuration twice at every start, hence shield_node_reset.
 */
#include "directives.h"

#include "apr_lib.h"
#include "apr_strings.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIR "/var/lib/l7shield"
#define MEMORY_DEFAULT ((size_t)64 << 20)
#define MEMORY_MAX ((size_t)16 << 30)
#define TICK_DEFAULT_MS 100
#define TICK_MIN_MS 20
#define TICK_MAX_MS 1000
#define SERVERS_MAX 16 /* as core/bus/pool.h, which the module does not include */
#define NAME_MAX_CHARS 63

static shield_node_t *current;

/* "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", the form of every name in the REST contract. */
static bool is_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= NAME_MAX_CHARS && text[length] == '\0' &&
           text[0] != '-' && text[length - 1] != '-';
}

/* The host's name as a node's name: its first label, other characters as '-'. */
static const char *default_name(apr_pool_t *pool)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) != 0) {
        host[0] = '\0';
    }
    host[strcspn(host, ".")] = '\0';
    host[NAME_MAX_CHARS] = '\0';
    for (char *at = host; *at != '\0'; at++) {
        *at = apr_isalnum(*at) ? (char)apr_tolower(*at) : '-';
    }
    return is_name(host) ? apr_pstrdup(pool, host) : "node";
}

void shield_node_reset(apr_pool_t *pool)
{
    current = apr_pcalloc(pool, sizeof(*current));
    current->name = default_name(pool);
    current->state_dir = STATE_DIR;
    current->memory = MEMORY_DEFAULT;
    current->tick_ms = TICK_DEFAULT_MS;
    current->memcached = apr_array_make(pool, 2, sizeof(const char *));
    current->proxies = apr_array_make(pool, 2, sizeof(l7s_cidr_t));
}

const shield_node_t *shield_node(void)
{
    return current;
}

const char *shield_node_problem(const shield_node_t *node)
{
    if (node->memcached->nelts > 0 && (!node->secret_file || !node->trust_file)) {
        return "L7ShieldMemcached needs L7ShieldSecretFile and L7ShieldTrustFile: what "
               "comes from memcached must be signed";
    }
    return NULL;
}

void *shield_section_create(apr_pool_t *pool, char *path)
{
    (void)path;
    shield_section_t *section = apr_pcalloc(pool, sizeof(*section));
    section->mode = -1;
    return section;
}

void *shield_section_merge(apr_pool_t *pool, void *base, void *add)
{
    const shield_section_t *outer = base, *inner = add;
    shield_section_t *section = apr_palloc(pool, sizeof(*section));
    section->mode = inner->mode >= 0 ? inner->mode : outer->mode;
    section->app = inner->app ? inner->app : outer->app;
    return section;
}

void *shield_host_create(apr_pool_t *pool, server_rec *server)
{
    (void)server;
    return apr_pcalloc(pool, sizeof(shield_host_t));
}

void *shield_host_merge(apr_pool_t *pool, void *base, void *add)
{
    const shield_host_t *outer = base, *inner = add;
    shield_host_t *host = apr_palloc(pool, sizeof(*host));
    host->sections = outer->sections || inner->sections;
    return host;
}

/* A section of this host has an opinion: its policies wait for the access checker. */
static void note_section(cmd_parms *cmd)
{
    if (cmd->path != NULL) {
        shield_host_t *host =
            ap_get_module_config(cmd->server->module_config, &l7shield_module);
        host->sections = true;
    }
}

static const char *set_mode(cmd_parms *cmd, void *config, const char *value)
{
    shield_section_t *section = config;
    const char *error = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (error) {
        return error;
    }
    if (!strcasecmp(value, "on")) {
        section->mode = L7S_MODE_ENFORCE;
    } else if (!strcasecmp(value, "observe")) {
        section->mode = L7S_MODE_OBSERVE;
    } else if (!strcasecmp(value, "off")) {
        section->mode = L7S_MODE_OFF;
    } else {
        return apr_psprintf(cmd->pool, "L7Shield must be On, Off or Observe, not '%s'",
                            value);
    }
    note_section(cmd);
    return NULL;
}

static const char *set_app(cmd_parms *cmd, void *config, const char *value)
{
    shield_section_t *section = config;
    const char *error = ap_check_cmd_context(cmd, NOT_IN_LIMIT);
    if (error) {
        return error;
    }
    if (!is_name(value)) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldApp must be the name of an application: 1 to 63 "
                            "lower-case letters, digits and inner hyphens, not '%s'",
                            value);
    }
    section->app = value;
    note_section(cmd);
    return NULL;
}

static const char *set_node(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    if (!is_name(value)) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldNode must be a name that no other node has: 1 to 63 "
                            "lower-case letters, digits and inner hyphens, not '%s'",
                            value);
    }
    current->name = value;
    return NULL;
}

static const char *one_source(cmd_parms *cmd, const char *other)
{
    return apr_psprintf(cmd->pool,
                        "%s cannot stand beside %s: policies come from the file or from "
                        "the daemon, from one source only",
                        cmd->cmd->name, other);
}

/* "192.0.2.1:11211" or "[2001:db8::1]:11211". No names: all nodes must place a counter on
 * the same server, and the sync process asks no resolver. */
static bool is_server(const char *value)
{
    const char *colon = strrchr(value, ':');
    if (!colon) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    long port = digits > 0 && digits <= 5 ? strtol(colon + 1, NULL, 10) : 0;
    if (colon[1 + digits] != '\0' || port < 1 || port > 65535) {
        return false;
    }
    size_t length = (size_t)(colon - value);
    bool six = value[0] == '[' && length > 2 && value[length - 1] == ']';
    size_t first = six ? 1 : 0, size = length - 2 * first;
    char text[L7S_ADDR_TEXT];
    l7s_addr_t addr;
    if (size >= sizeof(text)) {
        return false;
    }
    apr_cpystrn(text, value + first, size + 1);
    return l7s_addr_parse(text, &addr) && (strchr(text, ':') != NULL) == six;
}

static const char *set_memcached(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    if (current->policy_file) {
        return one_source(cmd, "L7ShieldPolicyFile");
    }
    if (!is_server(value)) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldMemcached must be address:port such as "
                            "192.0.2.10:11211 or [2001:db8::10]:11211, not '%s'",
                            value);
    }
    if (current->memcached->nelts >= SERVERS_MAX) {
        return apr_psprintf(cmd->pool, "L7ShieldMemcached takes at most %d servers",
                            SERVERS_MAX);
    }
    APR_ARRAY_PUSH(current->memcached, const char *) = value;
    return NULL;
}

static const char *set_policy_file(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    if (current->memcached->nelts > 0) {
        return one_source(cmd, "L7ShieldMemcached");
    }
    current->policy_file = ap_server_root_relative(cmd->pool, value);
    if (!current->policy_file) {
        return apr_psprintf(cmd->pool, "L7ShieldPolicyFile must be a path, not '%s'",
                            value);
    }
    return NULL;
}

/* A file that must be there. One that we may not look at is left to the sync process,
 * which runs as another user. */
static const char *file_of(cmd_parms *cmd, const char *value, bool secret,
                           const char **out)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    const char *path = ap_server_root_relative(cmd->pool, value);
    struct stat info;
    if (!path || (stat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR))) {
        return apr_psprintf(cmd->pool, "%s must be a file that exists, not '%s'",
                            cmd->cmd->name, path ? path : value);
    }
    if (stat(path, &info) == 0) {
        if (!S_ISREG(info.st_mode)) {
            return apr_psprintf(cmd->pool, "%s must be a regular file, not '%s'",
                                cmd->cmd->name, path);
        }
        if (secret && (info.st_mode & (S_IRWXG | S_IRWXO))) {
            return apr_psprintf(cmd->pool,
                                "%s must be a file that its owner alone may read (chmod "
                                "600 '%s')",
                                cmd->cmd->name, path);
        }
    }
    *out = path;
    return NULL;
}

static const char *set_secret_file(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    return file_of(cmd, value, true, &current->secret_file);
}

static const char *set_trust_file(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    return file_of(cmd, value, false, &current->trust_file);
}

static const char *set_state_dir(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    const char *path = ap_server_root_relative(cmd->pool, value);
    struct stat info;
    if (!path || (stat(path, &info) == 0 && !S_ISDIR(info.st_mode))) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldStateDir must be a folder (it is created if its "
                            "parent exists), not '%s'",
                            value);
    }
    current->state_dir = path;
    return NULL;
}

static const char *set_memory(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long size = apr_isdigit(*value) ? strtoull(value, &end, 10) : 0;
    unsigned shift = 0;
    if (end && *end != '\0' && end[1] == '\0') {
        const char unit = (char)apr_toupper(*end);
        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : UINT_MAX;
    } else if (!end || *end != '\0') {
        shift = UINT_MAX;
    }
    if (errno != 0 || shift == UINT_MAX || size > (MEMORY_MAX >> shift) ||
        (size << shift) < L7S_SEGMENT_SIZE_MIN) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldMemory must be a size from 16M to 16G such as 64M, "
                            "not '%s'",
                            value);
    }
    current->memory = (size_t)(size << shift);
    return NULL;
}

static const char *set_proxy(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    l7s_cidr_t cidr;
    l7s_status_t status = l7s_cidr_parse(value, &cidr);
    if (status == L7S_CONFLICT) {
        char text[L7S_CIDR_TEXT];
        l7s_cidr_text(&cidr, text);
        return apr_psprintf(
            cmd->pool,
            "L7ShieldTrustedProxy must be a network without host bits: %s, "
            "not '%s'",
            text, value);
    }
    if (status != L7S_OK) {
        return apr_psprintf(
            cmd->pool,
            "L7ShieldTrustedProxy must be an address or a network such as "
            "192.0.2.0/24 or 2001:db8::/32, not '%s'",
            value);
    }
    if (cidr.prefix == 0 || (l7s_addr_is_v4(&cidr.base) && cidr.prefix == 96)) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldTrustedProxy must be a network of proxies: '%s' is "
                            "everybody, and nobody would be judged",
                            value);
    }
    APR_ARRAY_PUSH(current->proxies, l7s_cidr_t) = cidr;
    return NULL;
}

static apr_status_t free_geo(void *geo)
{
    l7s_geo_free(geo);
    return APR_SUCCESS;
}

/* Opened here, so that a database that cannot be used fails the configuration test. The
 * children inherit the mapping; a restart maps anew. */
static const char *set_geo(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    if (!current->geo) {
        current->geo = l7s_geo_create();
        if (!current->geo) {
            return "L7ShieldGeoDatabase: there is no memory";
        }
        apr_pool_cleanup_register(cmd->pool, current->geo, free_geo,
                                  apr_pool_cleanup_null);
    }
    const char *path = ap_server_root_relative(cmd->pool, value);
    char why[160];
    if (!path || l7s_geo_add(current->geo, path, why, sizeof(why)) != L7S_OK) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldGeoDatabase must be MaxMind databases (.mmdb) of "
                            "countries or ASNs: '%s' %s",
                            path ? path : value, path ? why : "is no path");
    }
    return NULL;
}

static const char *set_sync(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    const char *path = ap_server_root_relative(cmd->pool, value);
    struct stat info;
    if (!path || stat(path, &info) != 0 || !S_ISREG(info.st_mode) ||
        !(info.st_mode & S_IXUSR)) {
        return apr_psprintf(cmd->pool,
                            "L7ShieldSync must be the program l7shield-sync, not '%s'",
                            path ? path : value);
    }
    current->sync_program = path;
    return NULL;
}

static const char *set_tick(cmd_parms *cmd, void *config, const char *value)
{
    (void)config;
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    if (error) {
        return error;
    }
    size_t digits = strspn(value, "0123456789");
    long tick = digits > 0 && digits <= 4 ? strtol(value, NULL, 10) : 0;
    if (value[digits] != '\0' || tick < TICK_MIN_MS || tick > TICK_MAX_MS) {
        return apr_psprintf(
            cmd->pool,
            "L7ShieldTick must be a number of milliseconds from %d to %d, "
            "not '%s'",
            TICK_MIN_MS, TICK_MAX_MS, value);
    }
    current->tick_ms = (int)tick;
    return NULL;
}

const command_rec shield_directives[] = {
    AP_INIT_TAKE1("L7Shield", set_mode, NULL, RSRC_CONF | ACCESS_CONF,
                  "On (default), Off or Observe"),
    AP_INIT_TAKE1("L7ShieldApp", set_app, NULL, RSRC_CONF | ACCESS_CONF,
                  "the application that this host or section belongs to"),
    AP_INIT_TAKE1("L7ShieldNode", set_node, NULL, RSRC_CONF,
                  "the node's name in the fleet (default: the host's name)"),
    AP_INIT_ITERATE("L7ShieldMemcached", set_memcached, NULL, RSRC_CONF,
                    "address:port of each memcached server of the fleet"),
    AP_INIT_TAKE1("L7ShieldSecretFile", set_secret_file, NULL, RSRC_CONF,
                  "the fleet's secret, readable by its owner alone"),
    AP_INIT_TAKE1("L7ShieldTrustFile", set_trust_file, NULL, RSRC_CONF,
                  "the daemon's public key"),
    AP_INIT_TAKE1("L7ShieldStateDir", set_state_dir, NULL, RSRC_CONF,
                  "folder of this node's state (default: " STATE_DIR ")"),
    AP_INIT_TAKE1("L7ShieldMemory", set_memory, NULL, RSRC_CONF,
                  "shared memory of the node (default: 64M)"),
    AP_INIT_TAKE1("L7ShieldPolicyFile", set_policy_file, NULL, RSRC_CONF,
                  "policies of a node without a fleet"),
    AP_INIT_ITERATE("L7ShieldTrustedProxy", set_proxy, NULL, RSRC_CONF,
                    "addresses or networks of the proxies in front of this server"),
    AP_INIT_ITERATE("L7ShieldGeoDatabase", set_geo, NULL, RSRC_CONF,
                    "databases (.mmdb) that know a client's country or ASN"),
    AP_INIT_TAKE1("L7ShieldSync", set_sync, NULL, RSRC_CONF,
                  "the program l7shield-sync (default: beside the module's file)"),
    AP_INIT_TAKE1("L7ShieldTick", set_tick, NULL, RSRC_CONF,
                  "milliseconds between two looks at the fleet (default: 100)"),
    {.name = NULL},
};
