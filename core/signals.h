/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals: what a back end or another module says about a request, "failed-login,
 * remote-command;detail=932160". Names are lower-case letters, digits and hyphens; the
 * detail is a token, such as a rule's id. Whoever speaks here is trusted to mean it, not
 * to write it well: whatever is not a signal is passed over, and all of it is bounded.
 */
#ifndef L7S_SIGNALS_H
#define L7S_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>

#define L7S_SIGNAL_NAME_MAX 64
#define L7S_SIGNAL_DETAIL_MAX 32
#define L7S_SIGNALS_MAX 8 /* of one request; further ones are passed over */

typedef struct {
    char name[L7S_SIGNAL_NAME_MAX];
    char detail[L7S_SIGNAL_DETAIL_MAX]; /* "": none */
} l7s_signal_t;

typedef struct {
    size_t count;
    l7s_signal_t items[L7S_SIGNALS_MAX];
} l7s_signals_t;

/* Adds the signals in `text` (NULL: none) that are not there yet. */
void l7s_signals_read(l7s_signals_t *signals, const char *text);

#endif
