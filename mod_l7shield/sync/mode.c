/* SPDX-License-Identifier: Apache-2.0
 *
 * See mode.h. A mode file that says something else than a mode is an error and is obeyed
 * as "observe": whoever breaks the glass in a hurry wants the shield to let go, and a
 * typing error must not leave it refusing.
 */
#include "mode.h"
#include "../../core/bus/manifest.h"
#include "file.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 64

struct sync_mode {
    const l7s_shared_t *shared;
    char path[4096]; /* "" without a state folder */
    sync_stamp_t stamp;
    bool has_file;
    l7s_mode_t file_mode;
    bool has_item;
    l7s_mode_item_t item; /* the newest */
    bool told;            /* the mode has been said in the log, or is the default */
};

l7s_status_t sync_mode_create(const l7s_shared_t *shared, const char *state_dir,
                              sync_mode_t **out)
{
    sync_mode_t *mode = calloc(1, sizeof *mode);

    if (mode == NULL) {
        return L7S_NO_MEMORY;
    }
    mode->shared = shared;
    if (state_dir[0] != '\0') {
        (void)snprintf(mode->path, sizeof mode->path, "%s/mode", state_dir);
    }
    *out = mode;
    return L7S_OK;
}

void sync_mode_free(sync_mode_t *mode)
{
    free(mode);
}

bool sync_mode_item(sync_mode_t *mode, const l7s_mode_item_t *item)
{
    if (item->mode > L7S_MODE_ENFORCE) {
        return false;
    }
    if (mode->has_item &&
        l7s_revision_compare(item->config_epoch, item->number, mode->item.config_epoch,
                             mode->item.number) <= 0) {
        return false;
    }
    mode->item = *item;
    mode->has_item = true;
    return true;
}

bool sync_mode_last_item(const sync_mode_t *mode, l7s_mode_item_t *out)
{
    *out = mode->item;
    return mode->has_item;
}

void sync_mode_forget_item(sync_mode_t *mode)
{
    mode->has_item = false;
}

/* The first word of the file. */
static void read_file(sync_mode_t *mode)
{
    char *text = NULL;
    size_t size = 0;

    mode->has_file = sync_stamp_exists(&mode->stamp);
    if (!mode->has_file) {
        return;
    }
    mode->file_mode = L7S_MODE_OBSERVE;
    if (sync_file_read(mode->path, FILE_MAX, &text, &size) != L7S_OK) {
        sync_log(SYNC_ERROR, "L7S2051", "%s cannot be read; it is obeyed as \"observe\"",
                 mode->path);
        return;
    }
    text[strcspn(text, " \t\r\n")] = '\0';
    if (!l7s_mode_parse(text, &mode->file_mode)) {
        mode->file_mode = L7S_MODE_OBSERVE;
        sync_log(
            SYNC_ERROR, "L7S2051",
            "%s says \"%s\"; it may say observe or off, and is obeyed as \"observe\"",
            mode->path, text);
    }
    free(text);
}

typedef struct {
    l7s_mode_t mode;
    l7s_because_t because;
} effect_t;

static void lower(effect_t *effect, l7s_mode_t mode, l7s_because_t because)
{
    if (mode < effect->mode) {
        *effect = (effect_t){mode, because};
    }
}

static bool still(uint64_t until_ms, l7s_now_t now)
{
    return until_ms == 0 || now.wall_ms < until_ms;
}

static effect_t combine(const sync_mode_t *mode, const l7s_config_t *config,
                        l7s_now_t now)
{
    effect_t effect = {L7S_MODE_ENFORCE, L7S_BECAUSE_DEFAULT};

    if (mode->has_file) {
        lower(&effect, mode->file_mode, L7S_BECAUSE_MODE_FILE);
    }
    if (mode->has_item && still(mode->item.until_ms, now)) {
        lower(&effect, (l7s_mode_t)mode->item.mode, L7S_BECAUSE_MODE_ITEM);
    }
    if (config != NULL && still(config->mode_until_ms, now)) {
        lower(&effect, config->mode, L7S_BECAUSE_SETTINGS);
    }
    return effect;
}

void sync_mode_tick(sync_mode_t *mode, const l7s_config_t *config, l7s_now_t now)
{
    l7s_segment_t *header = mode->shared->header;

    if (mode->path[0] != '\0') {
        sync_stamp_t stamp = sync_file_stamp(mode->path);
        if (!sync_stamp_same(&stamp, &mode->stamp)) {
            mode->stamp = stamp;
            read_file(mode);
        }
    }
    effect_t effect = combine(mode, config, now);
    bool changed = atomic_load(&header->mode) != (uint32_t)effect.mode ||
                   atomic_load(&header->because) != (uint32_t)effect.because;
    atomic_store(&header->mode, (uint32_t)effect.mode);
    atomic_store(&header->because, (uint32_t)effect.because);
    if (changed || (!mode->told && effect.because != L7S_BECAUSE_DEFAULT)) {
        sync_log(SYNC_INFO, "L7S2050", "this node's mode is %s because of the %s",
                 l7s_mode_name(effect.mode), l7s_because_name(effect.because));
    }
    mode->told = true;
}
