/* SPDX-License-Identifier: Apache-2.0
 *
 * Which signals an episode consists of: the first few different ones, each with its
 * count. A place is claimed, written and published once and never given away while the
 * episode runs; whoever finds all places taken by others counts nowhere. A writer that is
 * killed in between leaves a place unused until the episode's end.
 */
#include "episode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { FREE, WRITING, PUBLISHED };

/* "name;detail", without the detail where both do not fit. */
static void write_text(const l7s_signal_t *signal, char out[L7S_EPISODE_SIGNAL_MAX])
{
    size_t name = strnlen(signal->name, L7S_EPISODE_SIGNAL_MAX - 1);
    size_t detail = strlen(signal->detail);

    memcpy(out, signal->name, name);
    out[name] = '\0';
    if (detail > 0 && name + 1 + detail < L7S_EPISODE_SIGNAL_MAX) {
        out[name] = ';';
        memcpy(out + name + 1, signal->detail, detail + 1);
    }
}

static bool claim(l7s_episode_signal_t *place, const char *text)
{
    uint32_t state = FREE;

    if (!atomic_compare_exchange_strong(&place->state, &state, WRITING)) {
        return false;
    }
    memcpy(place->text, text, strlen(text) + 1);
    atomic_store_explicit(&place->state, PUBLISHED, memory_order_release);
    return true;
}

static bool is_published(l7s_episode_signal_t *place)
{
    return atomic_load_explicit(&place->state, memory_order_acquire) == PUBLISHED;
}

/* Two that claim places for one signal at the same time leave it there twice; its reader
 * adds them up. */
static void note_one(l7s_episode_t *episode, const l7s_signal_t *signal)
{
    char text[L7S_EPISODE_SIGNAL_MAX];

    write_text(signal, text);
    for (size_t i = 0; i < L7S_EPISODE_SIGNALS; i++) {
        l7s_episode_signal_t *place = &episode->signals[i];
        if ((is_published(place) && strcmp(place->text, text) == 0) ||
            claim(place, text)) {
            atomic_fetch_add_explicit(&place->count, 1, memory_order_relaxed);
            return;
        }
    }
}

void l7s_episode_signals(l7s_episode_t *episode, const l7s_signals_t *signals)
{
    for (size_t i = 0; i < signals->count; i++) {
        note_one(episode, &signals->items[i]);
    }
}

void l7s_episode_signals_clear(l7s_episode_t *episode)
{
    for (size_t i = 0; i < L7S_EPISODE_SIGNALS; i++) {
        atomic_store_explicit(&episode->signals[i].count, 0, memory_order_relaxed);
        atomic_store_explicit(&episode->signals[i].state, FREE, memory_order_relaxed);
    }
}

void l7s_episode_signals_text(const l7s_episode_t *episode,
                              char out[L7S_EPISODE_SIGNALS_TEXT])
{
    size_t size = 0;

    out[0] = '\0';
    for (size_t i = 0; i < L7S_EPISODE_SIGNALS; i++) {
        l7s_episode_signal_t *place = (l7s_episode_signal_t *)&episode->signals[i];
        if (is_published(place)) {
            size += (size_t)snprintf(out + size, L7S_EPISODE_SIGNALS_TEXT - size,
                                     "%s%.47s*%" PRIu32, size > 0 ? "," : "", place->text,
                                     atomic_load(&place->count));
        }
    }
}
