/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of mode items (kill_switch.h), kept as one line in events.db: the item's text
 * and the settings beside it.
 */
#include "kill_switch.h"

#include "../../core/bus/manifest.h"
#include "../store/store_events.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "kill_switch"

l7s_status_t admin_kill_switch_load(admin_store_t *store, admin_kill_switch_t *out)
{
    char *text = admin_text_get(store, KEY);
    char *line_end = text == NULL ? NULL : strchr(text, '\n');
    l7s_status_t status = L7S_NOT_FOUND;
    memset(out, 0, sizeof(*out));
    if (line_end != NULL &&
        l7s_mode_item_read(text, (size_t)(line_end + 1 - text), &out->item) &&
        sscanf(line_end + 1, "%u %" SCNu64, &out->set_mode, &out->set_until_ms) == 2) {
        status = L7S_OK;
    }
    free(text);
    return status;
}

static l7s_status_t write_text(admin_store_t *store, const char *text)
{
    l7s_status_t status = admin_store_begin_durable(store);
    if (status != L7S_OK) {
        return status;
    }
    status = admin_text_set(store, KEY, text);
    if (status != L7S_OK) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
        return status;
    }
    return admin_store_commit(store, ADMIN_EVENTS_DB);
}

l7s_status_t admin_kill_switch_save(admin_store_t *store,
                                    const admin_kill_switch_t *state)
{
    char text[2 * ADMIN_KILL_SWITCH_TEXT];
    size_t size = l7s_mode_item_write(&state->item, text, ADMIN_KILL_SWITCH_TEXT);
    snprintf(text + size, sizeof(text) - size, "%u %" PRIu64, state->set_mode,
             state->set_until_ms);
    return write_text(store, text);
}

static bool same(const l7s_mode_item_t *a, const l7s_mode_item_t *b)
{
    return a->mode == b->mode && a->until_ms == b->until_ms;
}

static int compare(const l7s_mode_item_t *a, const l7s_mode_item_t *b)
{
    return l7s_revision_compare(a->config_epoch, a->number, b->config_epoch, b->number);
}

bool admin_kill_switch_set(admin_kill_switch_t *state, bool known, bool spoken,
                           const l7s_mode_item_t *settings)
{
    bool news = settings->mode != state->set_mode ||
                settings->until_ms != state->set_until_ms ||
                (spoken && !same(settings, &state->item));
    uint64_t behind = known ? state->item.number + 1 : 0;
    if (known && !news && state->item.config_epoch >= settings->config_epoch) {
        return false;
    }
    if (!known || news) {
        state->item = *settings;
        state->set_mode = settings->mode;
        state->set_until_ms = settings->until_ms;
        state->item.number = settings->number > behind ? settings->number : behind;
    }
    state->item.config_epoch = settings->config_epoch;
    return true;
}

/* Two that were numbered at the same moment: the one that lies on the bus has been seen
 * by nodes, which do not look at another one of its number. */
bool admin_kill_switch_adopt(admin_kill_switch_t *state, const l7s_mode_item_t *there)
{
    int order = compare(there, &state->item);
    if (order < 0 || (order == 0 && same(there, &state->item))) {
        return false;
    }
    state->item = *there;
    return true;
}

bool admin_kill_switch_emergency(const admin_kill_switch_t *state)
{
    return state->item.mode != state->set_mode ||
           state->item.until_ms != state->set_until_ms;
}
