/* SPDX-License-Identifier: Apache-2.0
 *
 * A line of conf/backtest-log.conf, or of anybody who writes the same members: one flat
 * object. Unknown members are passed over. Strings hold httpd's escapes, and a user
 * without a name is four quotes, since httpd writes two for it.
 */
#include "access_text.h"

#include "../clock.h"

#include <string.h>

static char *skip_blanks(char *at)
{
    return at + strspn(at, " \t");
}

/* One value as a text: a string, or a number, true, false, null and httpd's "-". NULL: it
 * is none; an object or an array is none either. *number tells that it was not quoted. */
static char *read_value(char **at, char *after)
{
    char *text = *at;

    if (*text == '"') {
        bool empty = strncmp(text, "\"\"\"\"", 4) == 0;
        char *behind = empty ? text + 4 : l7s_access_unescape(text + 1, text + 1);
        if (behind == NULL) {
            return NULL;
        }
        text += 1;
        if (empty) {
            *text = '\0';
        }
        *at = skip_blanks(behind);
        *after = **at;
        return text;
    }
    size_t size = strcspn(text, ",} \t\"{[");
    *at = skip_blanks(text + size);
    *after = **at;
    if (size == 0) {
        return NULL;
    }
    text[size] = '\0'; /* after what follows has been noted */
    return text;
}

typedef struct {
    char *client, *request, *host;
    const char *time;
} later_t;

static bool set_number(const char *value, uint64_t *out)
{
    return strcmp(value, "null") == 0 || l7s_access_number(value, out);
}

static const char *known(char *value)
{
    return strcmp(value, "-") == 0 || strcmp(value, "null") == 0 ? "" : value;
}

/* False: the member cannot have this value. */
static bool set(const char *name, char *value, l7s_access_t *out, later_t *later)
{
    const struct {
        const char *name;
        const char **out;
    } texts[] = {{"host", &out->host},       {"user", &out->user},
                 {"referer", &out->referer}, {"user_agent", &out->user_agent},
                 {"action", &out->action},   {"signals", &out->signals},
                 {"time", &later->time}};
    const struct {
        const char *name;
        uint64_t *out;
    } numbers[] = {{"time_us", &out->time_us},
                   {"bytes_in", &out->bytes_in},
                   {"bytes_out", &out->bytes_out},
                   {"duration_us", &out->duration_us}};
    uint64_t status = 0;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].out = known(value);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            return set_number(value, numbers[i].out);
        }
    }
    if (strcmp(name, "status") == 0) {
        bool good = set_number(value, &status) && status <= 999;
        out->status = good ? (uint16_t)status : 0;
        return good;
    }
    later->client = strcmp(name, "client") == 0 ? value : later->client;
    later->request = strcmp(name, "request") == 0 ? value : later->request;
    return true;
}

/* *at stands behind "{" or ",". False: it is no member. `more`: another one follows. */
static bool read_member(char **at, l7s_access_t *out, later_t *later, bool *more)
{
    char *name = skip_blanks(*at), after;

    if (*name != '"') {
        return false;
    }
    *at = l7s_access_unescape(name + 1, name + 1);
    if (*at == NULL) {
        return false;
    }
    *at = skip_blanks(*at);
    if (**at != ':') {
        return false;
    }
    *at = skip_blanks(*at + 1);
    char *value = read_value(at, &after);
    if (value == NULL || (after != ',' && after != '}')) {
        return false;
    }
    (*at)++;
    *more = after == ',';
    return set(name + 1, value, out, later);
}

l7s_line_result_t l7s_access_json(char *line, l7s_access_t *out)
{
    later_t later = {.time = ""};
    char *at = line + 1;
    bool more = true;
    uint64_t time_ms;

    while (more) {
        if (!read_member(&at, out, &later, &more)) {
            return L7S_LINE_FORM;
        }
    }
    if (*skip_blanks(at) != '\0' || later.client == NULL || later.request == NULL) {
        return L7S_LINE_FORM;
    }
    if (later.time[0] != '\0') {
        if (!l7s_time_parse(later.time, &time_ms)) {
            return L7S_LINE_TIME;
        }
        out->time_us = time_ms * 1000;
    }
    if (out->time_us == 0 || out->time_us / 1000 > L7S_TIME_LAST_MS) {
        return L7S_LINE_TIME;
    }
    const char *host = out->host;
    l7s_access_request(later.request, out);
    out->host = *out->host != '\0' ? out->host : host;
    return l7s_access_client(later.client, &out->client) ? L7S_LINE_GOOD
                                                         : L7S_LINE_CLIENT;
}
