/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of mode items (kill_switch.h), kept as one line in events.db: the item's text
 * and the settings beside it.
 */
#include "kill_switch.h"

#include "../../core/bus/manifest.h"
#include "../../core/json/json_time.h"
#include "../../core/mode.h"
#include "../store/event_log.h"
#include "../store/store_events.h"
#include "../worker.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "kill_switch"
#define END_TOLD "kill_switch_end_told"

static bool same(const l7s_mode_item_t *a, const l7s_mode_item_t *b)
{
    return a->mode == b->mode && a->until_ms == b->until_ms;
}

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

static const char *mode_name(unsigned mode)
{
    return l7s_mode_name((l7s_mode_t)mode);
}

static l7s_status_t tell(admin_store_t *store, const l7s_mode_item_t *now,
                         const l7s_mode_item_t *before, const char *because)
{
    json_t *data = json_pack("{s:s, s:o, s:s, s:s}", "mode", mode_name(now->mode),
                             "mode_until", l7s_json_time(now->until_ms), "previous_mode",
                             mode_name(before->mode), "because", because);
    l7s_status_t status =
        admin_event_write(store, ADMIN_EVENT_MODE_CHANGED, data, admin_wall_ms());
    json_decref(data);
    return status;
}

/* Inside the transaction. A fleet that never heard of a kill switch enforces. */
static l7s_status_t write_state(admin_store_t *store, const admin_kill_switch_t *state,
                                const char *text)
{
    admin_kill_switch_t before;
    if (admin_kill_switch_load(store, &before) != L7S_OK) {
        before.item = (l7s_mode_item_t){.mode = L7S_MODE_ENFORCE};
    }
    l7s_status_t status = admin_text_set(store, KEY, text);
    if (status == L7S_OK && !same(&before.item, &state->item)) {
        status = tell(store, &state->item, &before.item,
                      admin_kill_switch_emergency(state) ? "emergency" : "settings");
    }
    return status;
}

l7s_status_t admin_kill_switch_tell_end(admin_store_t *store, uint64_t now_ms)
{
    admin_kill_switch_t state;
    l7s_mode_item_t end = {.mode = L7S_MODE_ENFORCE};
    if (admin_kill_switch_load(store, &state) != L7S_OK || state.item.until_ms == 0 ||
        state.item.until_ms > now_ms || state.item.mode == L7S_MODE_ENFORCE ||
        admin_number_get(store, END_TOLD, 0) == (int64_t)state.item.until_ms) {
        return L7S_OK;
    }
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    status = tell(store, &end, &state.item, "expired");
    if (status == L7S_OK) {
        status = admin_number_set(store, END_TOLD, (int64_t)state.item.until_ms);
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, status);
}

static l7s_status_t write_text(admin_store_t *store, const admin_kill_switch_t *state,
                               const char *text)
{
    l7s_status_t status = admin_store_begin_durable(store);
    if (status != L7S_OK) {
        return status;
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, write_state(store, state, text));
}

l7s_status_t admin_kill_switch_save(admin_store_t *store,
                                    const admin_kill_switch_t *state)
{
    char text[2 * ADMIN_KILL_SWITCH_TEXT];
    size_t size = l7s_mode_item_write(&state->item, text, ADMIN_KILL_SWITCH_TEXT);
    snprintf(text + size, sizeof(text) - size, "%u %" PRIu64, state->set_mode,
             state->set_until_ms);
    return write_text(store, state, text);
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
