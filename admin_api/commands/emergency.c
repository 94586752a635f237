/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd emergency off|observe|enforce (commands.h): signs a mode item and puts it
 * onto the bus under the names of all secrets, numbered behind everything that is known
 * (kill_switch.h). It needs the keys and memcached, no daemon. When no daemon uses the
 * data directory the item is kept there as well, for the next one.
 */
#include "../../core/bus/manifest.h"
#include "../../core/mode.h"
#include "../fleet/kill_switch.h"
#include "../store/store_objects.h"
#include "../worker.h"
#include "commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 500
/* A running daemon may write at the same moment: the item is looked after for so long. */
#define LOOKS 6
#define LOOK_PAUSE_MS 100
/* A daemon fills an empty memcached within a second. */
#define HEAD_TRIES 30

typedef struct {
    l7s_trust_t *trust;
    l7s_pool_t *pool;
    uint64_t epoch, number; /* the highest ones known */
    bool known;
} scene_t;

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static bool name_of(const scene_t *scene, size_t secret, l7s_item_kind_t kind,
                    char out[L7S_ITEM_NAME_MAX])
{
    l7s_hashkey_t key;
    const char *id = l7s_trust_secret_at(scene->trust, secret);
    if (l7s_trust_name_key(scene->trust, id, &key) != L7S_OK) {
        return false;
    }
    l7s_item_name(&key, "", kind, "", 0, out);
    return true;
}

/* The payload under the name of one secret as a text, or NULL. */
static char *read_item(const scene_t *scene, size_t secret, l7s_item_kind_t kind)
{
    char name[L7S_ITEM_NAME_MAX], *text = NULL;
    void *data = NULL;
    size_t size = 0;
    l7s_item_t item;
    uint64_t now_ms = admin_wall_ms();
    if (name_of(scene, secret, kind, name) &&
        l7s_pool_get(scene->pool, name, now_ms, &data, &size) == L7S_OK &&
        l7s_item_open(scene->trust, kind, name, data, size, now_ms, &item) == L7S_OK) {
        text = strndup(item.payload, item.size);
    }
    free(data);
    return text;
}

static void learn(scene_t *scene, uint64_t epoch, uint64_t number)
{
    if (!scene->known ||
        l7s_revision_compare(epoch, number, scene->epoch, scene->number) > 0) {
        scene->epoch = epoch;
        scene->number = number;
    }
    scene->known = true;
}

static bool read_mode(const scene_t *scene, size_t secret, l7s_mode_item_t *out)
{
    char *text = read_item(scene, secret, L7S_ITEM_MODE);
    bool good = text != NULL && l7s_mode_item_read(text, strlen(text), out);
    free(text);
    return good;
}

static void look_at_bus(scene_t *scene)
{
    for (size_t i = 0; i < l7s_trust_secrets(scene->trust); i++) {
        char *text = read_item(scene, i, L7S_ITEM_HEAD);
        json_t *head = text == NULL ? NULL : json_loads(text, 0, NULL);
        json_int_t epoch = json_integer_value(json_object_get(head, "config_epoch"));
        l7s_mode_item_t item;
        if (head != NULL && epoch >= 0) {
            learn(scene, (uint64_t)epoch, 0);
        }
        if (read_mode(scene, i, &item)) {
            learn(scene, item.config_epoch, item.number);
        }
        json_decref(head);
        free(text);
    }
}

/* NULL: a daemon runs, or this is not its machine. */
static admin_store_t *look_at_store(scene_t *scene, const admin_options_t *options)
{
    char path[4096], why[256];
    admin_store_t *store = NULL;
    admin_kill_switch_t state;
    FILE *file;
    snprintf(path, sizeof(path), "%s/config.db", options->data_dir);
    file = fopen(path, "re");
    if (file == NULL) {
        return NULL; /* opening the store would make a new one */
    }
    fclose(file);
    if (admin_store_open(options->data_dir, why, &store) != L7S_OK) {
        return NULL;
    }
    learn(scene, admin_store_config_epoch(store), (uint64_t)admin_store_revision(store));
    if (admin_kill_switch_load(store, &state) == L7S_OK) {
        learn(scene, state.item.config_epoch, state.item.number);
    }
    return store;
}

static void keep(admin_store_t *store, const l7s_mode_item_t *item)
{
    admin_kill_switch_t state;
    bool known = admin_kill_switch_load(store, &state) == L7S_OK;
    if (!known) {
        state.set_mode = L7S_MODE_ENFORCE;
    }
    state.item = *item;
    if (admin_kill_switch_save(store, &state) != L7S_OK) {
        fprintf(stderr, "l7shieldd emergency: the data directory cannot be written; the "
                        "next daemon learns of this from the bus\n");
    }
}

/* Under every secret's name. True: at least one server took it. */
static bool put(const scene_t *scene, const l7s_mode_item_t *item)
{
    char payload[ADMIN_KILL_SWITCH_TEXT], name[L7S_ITEM_NAME_MAX];
    size_t length = l7s_mode_item_write(item, payload, sizeof(payload));
    bool taken = false;
    for (size_t i = 0; i < l7s_trust_secrets(scene->trust); i++) {
        void *sealed = NULL;
        size_t size = 0;
        uint64_t now_ms = admin_wall_ms();
        if (name_of(scene, i, L7S_ITEM_MODE, name) &&
            l7s_item_seal(scene->trust, L7S_ITEM_MODE, name, "emergency", true, payload,
                          length, now_ms, &sealed, &size) == L7S_OK) {
            taken |= l7s_pool_set(scene->pool, name, sealed, size, 0, now_ms) == L7S_OK;
        }
        free(sealed);
    }
    return taken;
}

static bool still_there(const scene_t *scene, const l7s_mode_item_t *item)
{
    for (size_t i = 0; i < l7s_trust_secrets(scene->trust); i++) {
        l7s_mode_item_t there;
        if (read_mode(scene, i, &there) &&
            l7s_revision_compare(there.config_epoch, there.number, item->config_epoch,
                                 item->number) >= 0) {
            return true;
        }
    }
    return false;
}

/* Writes, and again when somebody wrote an older one over it. */
static bool publish(const scene_t *scene, const l7s_mode_item_t *item)
{
    bool taken = put(scene, item);
    for (int i = 0; i < LOOKS && taken; i++) {
        pause_ms(LOOK_PAUSE_MS);
        if (!still_there(scene, item)) {
            taken = put(scene, item);
        }
    }
    return taken;
}

static int act(scene_t *scene, const admin_options_t *options, l7s_mode_t mode)
{
    admin_store_t *store = look_at_store(scene, options);
    look_at_bus(scene);
    for (int i = 0; i < HEAD_TRIES && !scene->known; i++) {
        pause_ms(LOOK_PAUSE_MS);
        look_at_bus(scene);
    }
    if (!scene->known) {
        fprintf(stderr,
                "l7shieldd emergency: neither the bus nor %s tells where the numbering "
                "stands. On each node: echo %s > STATE_DIR/mode\n",
                options->data_dir, l7s_mode_name(mode));
        admin_store_close(store);
        return 1;
    }
    l7s_mode_item_t item = {
        .mode = mode, .config_epoch = scene->epoch, .number = scene->number + 1};
    if (store != NULL) {
        keep(store, &item);
        admin_store_close(store);
    }
    if (!publish(scene, &item)) {
        fprintf(
            stderr,
            "l7shieldd emergency: memcached does not take it. On each node: echo %s > "
            "STATE_DIR/mode\n",
            l7s_mode_name(mode));
        return 1;
    }
    printf("mode %s is on the bus as number %" PRIu64 " of epoch %" PRIu64
           "; nodes obey within a tick\n",
           l7s_mode_name(mode), item.number, item.config_epoch);
    return 0;
}

int admin_emergency(const admin_options_t *options)
{
    l7s_mode_t mode;
    scene_t scene = {.trust = NULL};
    char why[256] = "";
    int result = 1;
    if (!l7s_mode_parse(options->argument, &mode)) {
        fprintf(stderr, "l7shieldd emergency: say off, observe or enforce\n");
        return 2;
    }
    l7s_status_t status = l7s_trust_load(options->secret_file, NULL,
                                         options->signing_key_file, why, &scene.trust);
    if (status == L7S_OK) {
        status = l7s_pool_create(options->servers, options->server_count, TIMEOUT_MS,
                                 &scene.pool);
    }
    if (status == L7S_OK) {
        result = act(&scene, options, mode);
    } else {
        fprintf(stderr, "l7shieldd emergency: %s\n",
                why[0] == '\0' ? l7s_status_name(status) : why);
    }
    l7s_pool_free(scene.pool);
    l7s_trust_free(scene.trust);
    return result;
}
