/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of collections (page.h). The cursor is the last key in hexadecimal: it needs no
 * secret, since a client may as well ask for any page.
 */
#include "page.h"
#include "../../core/clock.h"
#include "problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
/* A page of NDJSON is full then; a larger item stands alone. */
#define LINES_BYTES ((size_t)256 << 10)

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

static bool read_cursor(const char *cursor, char key[ADMIN_CURSOR_KEY_MAX])
{
    size_t size = strlen(cursor) / 2;
    if (size == 0 || strlen(cursor) % 2 != 0 || size >= ADMIN_CURSOR_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(cursor[2 * i]), low = hex_digit(cursor[2 * i + 1]);
        if (high < 0 || low < 0 || high * 16 + low < 0x20) {
            return false;
        }
        key[i] = (char)(high * 16 + low);
    }
    key[size] = '\0';
    return true;
}

static json_t *write_cursor(const char *key)
{
    char text[2 * ADMIN_CURSOR_KEY_MAX + 1];
    size_t used = 0;
    for (; *key != '\0'; key++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%02x",
                                 (unsigned)(unsigned char)*key);
    }
    return json_string(text);
}

/* The types in Accept are few; the first that this API knows decides. */
bool admin_page_wants_lines(const admin_call_t *call)
{
    if (call->accept == NULL) {
        return false;
    }
    const char *lines = strcasestr(call->accept, "application/x-ndjson");
    const char *json = strcasestr(call->accept, "application/json");
    return lines != NULL && (json == NULL || lines < json);
}

static bool read_limit(admin_call_t *call, size_t *limit)
{
    const char *text = call->query(call, "limit");
    if (text == NULL) {
        *limit = LIMIT_DEFAULT;
        return true;
    }
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < 1 ||
        value > LIMIT_MAX) {
        admin_call_problem(call, "invalid_parameter",
                           "limit is a number from 1 to %d; next_cursor leads on.",
                           LIMIT_MAX);
        return false;
    }
    *limit = value;
    return true;
}

bool admin_page_begin(admin_call_t *call, admin_page_t *page)
{
    memset(page, 0, sizeof *page);
    const char *cursor = call->query(call, "cursor");
    if (!read_limit(call, &page->limit)) {
        return false;
    }
    if (cursor != NULL && !read_cursor(cursor, page->after)) {
        admin_call_problem(call, "invalid_cursor",
                           "cursor is the next_cursor of the page before.");
        return false;
    }
    page->ndjson = admin_page_wants_lines(call);
    if (page->ndjson) {
        page->limit = SIZE_MAX;
        page->out = open_memstream(&page->lines, &page->lines_size);
    }
    if (call->resume[0] != '\0') {
        snprintf(page->after, sizeof page->after, "%s", call->resume);
    }
    page->items = json_array();
    if (page->items == NULL || (page->ndjson && page->out == NULL)) {
        admin_page_clear(page);
        admin_call_failed(call, L7S_NO_MEMORY);
        return false;
    }
    return true;
}

/* Steals the item. */
static bool add_line(admin_page_t *page, json_t *item)
{
    bool good =
        json_dumpf(item, page->out, JSON_COMPACT) == 0 && fputc('\n', page->out) != EOF;
    json_decref(item);
    return good;
}

static bool is_full(const admin_page_t *page)
{
    return page->ndjson ? ftell(page->out) >= (long)LINES_BYTES
                        : json_array_size(page->items) >= page->limit;
}

bool admin_page_add(admin_page_t *page, const char *key, json_t *item)
{
    if (is_full(page)) {
        page->more = true;
        json_decref(item);
        return false;
    }
    snprintf(page->last, sizeof page->last, "%s", key);
    return page->ndjson ? add_line(page, item)
                        : json_array_append_new(page->items, item) == 0;
}

void admin_page_clear(admin_page_t *page)
{
    json_decref(page->items);
    page->items = NULL;
    if (page->out != NULL) {
        fclose(page->out);
    }
    page->out = NULL;
    free(page->lines);
    page->lines = NULL;
}

static void reply_lines(admin_call_t *call, admin_page_t *page)
{
    bool good = ferror(page->out) == 0;
    good = fclose(page->out) == 0 && good;
    page->out = NULL;
    if (!good) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    call->status = 200;
    call->text = page->lines;
    page->lines = NULL;
    call->content_type = "application/x-ndjson";
    call->more = page->more;
    snprintf(call->resume, sizeof call->resume, "%s", page->last);
}

void admin_page_reply(admin_call_t *call, admin_page_t *page)
{
    if (page->ndjson) {
        reply_lines(call, page);
        admin_page_clear(page);
        return;
    }
    json_t *next = page->more ? write_cursor(page->last) : json_null();
    admin_call_reply(call, 200,
                     json_pack("{s:o, s:o}", "items", page->items, "next_cursor", next));
    page->items = NULL;
}

bool admin_page_number(admin_call_t *call, const char *parameter, unsigned max,
                       unsigned otherwise, unsigned *out)
{
    const char *text = call->query(call, parameter);
    *out = otherwise;
    if (text == NULL) {
        return true;
    }
    size_t size = strlen(text);
    unsigned long value = strtoul(text, NULL, 10);
    if (size == 0 || size > 4 || strspn(text, "0123456789") != size || value > max) {
        admin_call_problem(call, "invalid_parameter", "%s is a number from 0 to %u.",
                           parameter, max);
        return false;
    }
    *out = (unsigned)value;
    return true;
}

/* Does "name=value" or "name" hold for the labels? */
static bool label_holds(const json_t *labels, const char *wanted)
{
    char name[80];
    const char *equals = strchr(wanted, '=');
    size_t size = equals == NULL ? strlen(wanted) : (size_t)(equals - wanted);
    if (size >= sizeof name) {
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)size, wanted);
    const char *value = json_string_value(json_object_get(labels, name));
    return value != NULL && (equals == NULL || strcmp(equals + 1, value) == 0);
}

bool admin_page_labels(const admin_call_t *call, const json_t *spec)
{
    const json_t *labels = json_object_get(spec, "labels");
    const char *wanted;
    for (size_t i = 0; (wanted = call->query_at(call, "label", i)) != NULL; i++) {
        size_t size = strcspn(wanted, "=");
        bool holds = false;
        const char *other;
        for (size_t j = 0; (other = call->query_at(call, "label", j)) != NULL; j++) {
            bool same = strncmp(other, wanted, size) == 0 && strcspn(other, "=") == size;
            holds = holds || (same && label_holds(labels, other));
        }
        if (!holds) {
            return false;
        }
    }
    return true;
}

/* "-15m" before now; s, m, h, d. */
static bool relative_time(const char *text, uint64_t now_ms, uint64_t *out_ms)
{
    char *end;
    if (text[0] != '-' || text[1] < '0' || text[1] > '9') {
        return false;
    }
    unsigned long long count = strtoull(text + 1, &end, 10);
    uint64_t unit = *end == 's'   ? 1000
                    : *end == 'm' ? 60000
                    : *end == 'h' ? 3600000
                    : *end == 'd' ? 86400000
                                  : 0;
    if (unit == 0 || end[1] != '\0' || count > 1000000) {
        return false;
    }
    uint64_t back = (uint64_t)count * unit;
    *out_ms = back < now_ms ? now_ms - back : 1;
    return true;
}

bool admin_page_time(admin_call_t *call, const char *parameter, uint64_t *out_ms)
{
    const char *text = call->query(call, parameter);
    *out_ms = 0;
    if (text == NULL || relative_time(text, call->now_ms, out_ms) ||
        l7s_time_parse(text, out_ms)) {
        return true;
    }
    admin_call_problem(call, "invalid_parameter",
                       "%s is a time like 2026-01-31T23:59:59Z, or -15m (s, m, h, d).",
                       parameter);
    return false;
}
