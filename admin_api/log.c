/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines (log.h). One write per line, so that lines of several threads never mix.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* What an attacker wrote must not start a line or move a cursor. */
static void neutralise(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            text[i] = '?';
        }
    }
}

void admin_log(admin_level_t level, const char *tag, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    int head =
        snprintf(line, sizeof line, "[l7shieldd:%s] %s: ", level_names[level], tag);
    size_t used = (size_t)head;
    va_list arguments;
    va_start(arguments, format);
    int body = vsnprintf(line + used, sizeof line - used - 1, format, arguments);
    va_end(arguments);
    if (body < 0) {
        return;
    }
    used += (size_t)body;
    if (used > sizeof line - 2) {
        used = sizeof line - 2;
    }
    neutralise(line + head, used - (size_t)head);
    line[used++] = '\n';
    if (write(STDERR_FILENO, line, used) < 0) {
        return; /* nowhere left to say so */
    }
}
