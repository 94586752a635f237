/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd new-epoch (commands.h). Nodes remember the highest (config_epoch, revision)
 * that they saw, so a daemon that has gone back in time is refused until it begins a new
 * history. The bus is asked how far the old one went: a backup may be older than an
 * earlier new-epoch.
 */
#include "../fleet/bus.h"
#include "../fleet/keys.h"
#include "../worker.h"
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t epoch_in(const char *json)
{
    json_t *document = json == NULL ? NULL : json_loads(json, 0, NULL);
    json_int_t epoch = json_integer_value(json_object_get(document, "config_epoch"));
    json_decref(document);
    return epoch < 0 ? 0 : (uint64_t)epoch;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The highest epoch in what a daemon with our key wrote. False: memcached is silent. */
static bool look_at_bus(admin_bus_t *bus, uint64_t *highest)
{
    char *head, *mode;
    l7s_mode_item_t item;
    uint64_t now_ms = admin_wall_ms();
    l7s_status_t status =
        admin_bus_get(bus, (admin_place_t){L7S_ITEM_HEAD, "", 0}, now_ms, &head);
    *highest = later(*highest, epoch_in(head));
    free(head);
    if (admin_bus_get(bus, (admin_place_t){L7S_ITEM_MODE, "", 0}, now_ms, &mode) ==
            L7S_OK &&
        l7s_mode_item_read(mode, strlen(mode), &item)) {
        *highest = later(*highest, item.config_epoch);
    }
    free(mode);
    return status == L7S_OK || status == L7S_NOT_FOUND || status == L7S_UNTRUSTED;
}

l7s_status_t admin_begin_epoch(const admin_options_t *options, admin_store_t *store,
                               uint64_t floor)
{
    char why[256] = "", drawn[ADMIN_BUS_EPOCH_TEXT];
    admin_daemon_t daemon = {.options = options, .store = store};
    admin_bus_t *bus = NULL;
    uint64_t highest = later(admin_store_config_epoch(store), floor);
    l7s_status_t status = admin_keys_open(options, why, &daemon.keys);
    if (status == L7S_OK) {
        status = admin_bus_open(&daemon, &bus);
    }
    if (status != L7S_OK || !look_at_bus(bus, &highest)) {
        fprintf(stderr,
                "l7shieldd: the bus cannot be asked (%s). If nodes still refuse the "
                "daemon after this, say new-epoch again.\n",
                why[0] == '\0' ? "memcached does not answer" : why);
    }
    admin_bus_close(bus);
    admin_keys_close(daemon.keys);
    status = admin_store_raise_epoch(store, highest + 1);
    if (status == L7S_OK) {
        status = admin_bus_epoch_renew(store, drawn);
    }
    if (status == L7S_OK) {
        printf("config epoch %" PRIu64
               " begins; start l7shieldd now, and nodes take what "
               "it has\n",
               highest + 1);
    }
    return status;
}

int admin_new_epoch(const admin_options_t *options)
{
    char why[256] = "", path[4096];
    admin_store_t *store = NULL;
    snprintf(path, sizeof path, "%s/config.db", options->data_dir);
    if (access(path, F_OK) != 0) { /* opening the store would make a new one */
        fprintf(stderr, "l7shieldd new-epoch: %s: %s; is --data-dir the daemon's?\n",
                path, strerror(errno));
        return 1;
    }
    l7s_status_t status = admin_store_open(options->data_dir, why, &store);
    if (status == L7S_OK) {
        why[0] = '\0';
        status = admin_begin_epoch(options, store, 0);
    }
    admin_store_close(store);
    if (status == L7S_CONFLICT) {
        fprintf(stderr, "l7shieldd new-epoch: %s; stop it first\n", why);
    } else if (status != L7S_OK) {
        fprintf(stderr, "l7shieldd new-epoch: %s\n",
                why[0] == '\0' ? l7s_status_name(status) : why);
    }
    return status == L7S_OK ? 0 : 1;
}
