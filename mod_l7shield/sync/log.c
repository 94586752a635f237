/* SPDX-License-Identifier: Apache-2.0
 *
 * See log.h. Bytes below blank, DEL and the backslash are written as \xNN; bytes above
 * 0x7f pass, since host names and paths may be UTF-8 and httpd's log readers expect it.
 */
#include "log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *level_name(sync_level_t level)
{
    static const char *const names[] = {"error", "warn", "info"};
    return names[level];
}

/* Copies `text` without anything that could start a new line or a terminal sequence. */
static size_t escape(const char *text, char *out, size_t capacity)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    for (; *text != '\0' && used + 4 < capacity; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != 0x7f) {
            out[used++] = (char)byte;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[byte >> 4];
        out[used++] = digits[byte & 15];
    }
    return used;
}

void sync_log(sync_level_t level, const char *tag, const char *format, ...)
{
    char sentence[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    int head = snprintf(line, 128, "[l7shield:%s] [pid %d] %s: ", level_name(level),
                        (int)getpid(), tag);
    size_t size = (size_t)head;
    size += escape(sentence, line + size, sizeof line - size - 1);
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written; /* a full disk must not stop the shield */
}

void sync_log_problems(const char *tag, const char *what, const l7s_problems_t *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const l7s_problem_t *problem = &problems->items[i];
        sync_log(SYNC_ERROR, tag, "%s: %s: %s", what,
                 problem->pointer[0] != '\0' ? problem->pointer : "/", problem->message);
    }
    if (problems->dropped > 0) {
        sync_log(SYNC_ERROR, tag, "%s: and %zu problems more", what, problems->dropped);
    }
}

bool sync_log_gate(sync_log_gate_t *gate, uint64_t now_ms, uint64_t interval_ms,
                   uint64_t *held_back)
{
    if (now_ms < gate->closed_until_ms) {
        gate->held_back++;
        return false;
    }
    if (held_back != NULL) {
        *held_back = gate->held_back;
    }
    gate->held_back = 0;
    gate->closed_until_ms = now_ms + interval_ms;
    return true;
}
