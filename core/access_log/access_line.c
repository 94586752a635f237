/* SPDX-License-Identifier: Apache-2.0
 *
 * See access_line.h. Texts are cut out and unescaped in place, which never makes them
 * longer. What both formats share stands in access_text.c.
 */
#include "access_line.h"

#include "../clock.h"
#include "access_text.h"

#include <string.h>

static const char *const format_names[L7S_ACCESS_FORMATS] = {
    [L7S_ACCESS_ANY] = "auto",
    [L7S_ACCESS_COMBINED] = "combined",
    [L7S_ACCESS_VHOST] = "vhost_combined",
    [L7S_ACCESS_JSON] = "json"};

l7s_access_format_t l7s_access_format(const char *name)
{
    unsigned format = 0;

    while (format < L7S_ACCESS_FORMATS && strcmp(format_names[format], name) != 0) {
        format++;
    }
    return (l7s_access_format_t)format;
}

const char *l7s_line_result_name(l7s_line_result_t result)
{
    static const char *const names[L7S_LINE_RESULTS] = {[L7S_LINE_GOOD] = "good",
                                                        [L7S_LINE_FORM] = "form",
                                                        [L7S_LINE_TIME] = "time",
                                                        [L7S_LINE_CLIENT] = "client",
                                                        [L7S_LINE_LONG] = "long"};

    return result < L7S_LINE_RESULTS ? names[result] : "unknown";
}

/* --- combined --- */

/* Cuts the word at *at off and moves behind it. NULL: none. */
static char *cut_word(char **at)
{
    char *word = *at, *blank = strchr(word, ' ');

    if (blank == NULL || blank == word) {
        return NULL;
    }
    *blank = '\0';
    *at = blank + 1;
    return word;
}

/* The same for what stands between quotes, with the blank in front of it. */
static char *cut_quoted(char **at)
{
    char *text = *at + (**at == ' '), *end;

    if (*text != '"') {
        return NULL;
    }
    text++;
    end = l7s_access_unescape(text, text);
    if (end == NULL) {
        return NULL;
    }
    *at = end;
    return text;
}

/* "[31/Jan/2026:23:59:59 +0100]" ends at `end`, which is its bracket. */
#define STAMP 28
static bool read_stamp(const char *end, l7s_access_memo_t *memo, uint64_t *time_us)
{
    const char *stamp = end + 1 - STAMP;

    if (memcmp(memo->text, stamp, STAMP) != 0) {
        if (!l7s_access_stamp(stamp, &memo->time_us)) {
            memo->text[0] = '\0';
            return false;
        }
        memcpy(memo->text, stamp, STAMP);
    }
    *time_us = memo->time_us;
    return true;
}

static const char *or_nothing(char *text)
{
    return text == NULL || strcmp(text, "-") == 0 ? "" : text;
}

/* Behind the request: status and bytes, then, where they are, Referer and User-Agent. */
static bool read_rest(char *at, l7s_access_t *out)
{
    char *status = *at == ' ' ? at + 1 : NULL, *bytes;

    if (status == NULL) {
        return false;
    }
    bytes = strchr(status, ' ');
    if (bytes == NULL) {
        return false;
    }
    *bytes++ = '\0';
    at = bytes + strcspn(bytes, " ");
    if (*at != '\0') {
        *at++ = '\0';
    }
    uint64_t number = 0;
    if (!l7s_access_number(status, &number) || number > 999 ||
        !l7s_access_number(bytes, &out->bytes_out)) {
        return false;
    }
    out->status = (uint16_t)number;
    out->referer = or_nothing(cut_quoted(&at));
    out->user_agent = out->referer == NULL ? "" : or_nothing(cut_quoted(&at));
    return true;
}

/* Nobody but httpd writes a quote without a backslash in front, so the first `] "` ends
 * the time, whatever is in the user's name. */
static l7s_line_result_t read_named(char *at, l7s_access_memo_t *memo, l7s_access_t *out)
{
    char *identity = cut_word(&at);
    char *bracket = strstr(at, "] \"");

    if (identity == NULL || bracket == NULL || bracket - at < STAMP) {
        return L7S_LINE_FORM;
    }
    if (!read_stamp(bracket, memo, &out->time_us)) {
        return L7S_LINE_TIME;
    }
    char *before = bracket + 1 - STAMP;
    if (before[-1] != ' ') {
        return L7S_LINE_FORM;
    }
    before[-1] = '\0';
    (void)l7s_access_unescape(at, at);
    out->user = strcmp(at, "\"\"") == 0 ? "" : or_nothing(at);
    at = bracket + 1;
    char *request = cut_quoted(&at);
    if (request == NULL || !read_rest(at, out)) {
        return L7S_LINE_FORM;
    }
    l7s_access_request(request, out);
    return L7S_LINE_GOOD;
}

static l7s_line_result_t read_combined(l7s_access_format_t format, char *line,
                                       l7s_access_memo_t *memo, l7s_access_t *out)
{
    char *first = cut_word(&line);
    l7s_line_result_t result;

    if (first == NULL) {
        return L7S_LINE_FORM;
    }
    bool known = format != L7S_ACCESS_VHOST && l7s_access_client(first, &out->client);
    if (!known && format != L7S_ACCESS_COMBINED) {
        char *client = cut_word(&line);
        if (client == NULL) {
            return L7S_LINE_FORM;
        }
        if (strcmp(client, "-") == 0) {
            return L7S_LINE_CLIENT; /* %h was a name, this is %l */
        }
        known = l7s_access_client(client, &out->client);
        out->host = first;
    }
    result = read_named(line, memo, out);
    return result == L7S_LINE_GOOD && !known ? L7S_LINE_CLIENT : result;
}

l7s_line_result_t l7s_access_read(l7s_access_format_t format, char *line, size_t size,
                                  l7s_access_memo_t *memo, l7s_access_t *out)
{
    bool json = size > 0 && line[0] == '{';
    l7s_line_result_t result;

    *out = (l7s_access_t){.host = "",
                          .user = "",
                          .method = "",
                          .target = "/",
                          .referer = "",
                          .user_agent = "",
                          .action = "",
                          .signals = "",
                          .came = true,
                          .full = json};
    if (memchr(line, '\0', size) != NULL ||
        (format != L7S_ACCESS_ANY && json != (format == L7S_ACCESS_JSON))) {
        return L7S_LINE_FORM;
    }
    result = json ? l7s_access_json(line, out) : read_combined(format, line, memo, out);
    if (result == L7S_LINE_GOOD) {
        out->host = l7s_access_host(out->host);
    }
    return result;
}
