/* SPDX-License-Identifier: Apache-2.0
 *
 * See log.h. Syslog gets datagrams of its own form (RFC 3164) through a socket that never
 * waits and is not connected: libc's syslog() would wait for a daemon that hangs, and a
 * restarted one would be lost. Bytes below blank, DEL and the backslash are written as
 * \xNN; bytes above 0x7f pass, since host names and paths may be UTF-8 and httpd's log
 * readers expect it.
 */
#include "log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#define SYSLOG_NAMES /* facilitynames */
#include <syslog.h>

#define LINE_MAX_BYTES 2048
#define HEAD_MAX_BYTES 192
#define IDENT_MAX 48

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [SYNC_ERROR] = {"error", LOG_ERR},
    [SYNC_WARN] = {"warn", LOG_WARNING},
    [SYNC_INFO] = {"info", LOG_INFO},
};

/* Set once, before the threads. */
static struct {
    int fd; /* 0: lines go to stderr */
    int facility;
    char ident[IDENT_MAX];
    struct sockaddr_un address;
} journal;

/* httpd's own, where it says nothing else. */
static int facility_of(const char *name, size_t length)
{
    for (const CODE *code = facilitynames; code->c_name != NULL; code++) {
        if (strlen(code->c_name) == length &&
            strncasecmp(code->c_name, name, length) == 0) {
            return code->c_val;
        }
    }
    return LOG_LOCAL7;
}

void sync_log_to_syslog(const char *path, const char *where)
{
    size_t length = strcspn(where, ":");
    const char *ident = where[length] == ':' ? where + length + 1 : "";

    journal.facility = facility_of(where, length);
    (void)snprintf(journal.ident, sizeof journal.ident, "%s",
                   ident[0] != '\0' ? ident : "l7shield-sync");
    journal.address.sun_family = AF_UNIX;
    (void)snprintf(journal.address.sun_path, sizeof journal.address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    journal.fd = fd > 0 ? fd : 0;
}

/* As httpd begins its lines: "[Thu Nov 26 16:51:14.123456 2026] ". */
static size_t put_time(char *out, size_t capacity)
{
    struct timespec now;
    struct tm local;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &local);
    size_t size = strftime(out, capacity, "[%a %b %d %H:%M:%S", &local);
    size += (size_t)snprintf(out + size, capacity - size, ".%06ld", now.tv_nsec / 1000);
    return size + strftime(out + size, capacity - size, " %Y] ", &local);
}

static size_t put_syslog_head(char *out, size_t capacity, sync_level_t level)
{
    time_t now = time(NULL);
    struct tm local;
    char when[32];

    (void)localtime_r(&now, &local);
    (void)strftime(when, sizeof when, "%b %e %H:%M:%S", &local);
    return (size_t)snprintf(out, capacity,
                            "<%d>%s %s[%d]: ", journal.facility | levels[level].priority,
                            when, journal.ident, (int)getpid());
}

/* In the syslog the receiver adds time and process. */
static size_t put_head(char *out, sync_level_t level, const char *tag)
{
    size_t size = journal.fd != 0 ? put_syslog_head(out, HEAD_MAX_BYTES, level)
                                  : put_time(out, HEAD_MAX_BYTES);
    return size + (size_t)snprintf(out + size, HEAD_MAX_BYTES - size,
                                   "[l7shield:%s] [pid %d] %s: ", levels[level].name,
                                   (int)getpid(), tag);
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
    size_t size = put_head(line, level, tag);
    size += escape(sentence, line + size, sizeof line - size - 1);
    /* Neither a full disk nor a dead syslog may stop the shield. */
    if (journal.fd != 0) {
        (void)sendto(journal.fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (const struct sockaddr *)&journal.address, sizeof journal.address);
        return;
    }
    line[size++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size);
    (void)written;
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
