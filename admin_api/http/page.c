/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of collections (page.h). The cursor is the last key in hexadecimal: it needs no
 * secret, since a client may as well ask for any page.
 */
#include "page.h"
#include "media.h"
#include "parameters.h"
#include "problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool admin_page_wants_lines(const admin_call_t *call)
{
    return admin_media_prefers(call->accept, "application/x-ndjson", "application/json");
}

bool admin_page_begin(admin_call_t *call, admin_page_t *page)
{
    const char *cursor = call->query(call, "cursor");
    int64_t limit = LIMIT_DEFAULT;
    *page = (admin_page_t){.call = call};
    if (!admin_parameter_number(call, "limit", 1, LIMIT_MAX, &limit)) {
        return false;
    }
    page->limit = (size_t)limit;
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

bool admin_page_add_number(admin_page_t *page, int64_t key, json_t *item)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, key);
    return admin_page_add(page, text, item);
}

bool admin_page_after_number(admin_page_t *page, int64_t *out)
{
    char *end;
    *out = strtoll(page->after, &end, 10);
    if (page->after[0] != '\0' && (*end != '\0' || *out < 1)) {
        admin_page_refuse(page);
        return false;
    }
    return true;
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

void admin_page_refuse(admin_page_t *page)
{
    admin_call_problem(page->call, "invalid_cursor", "This cursor is of another list.");
    admin_page_clear(page);
}

static void reply_lines(admin_page_t *page)
{
    admin_call_t *call = page->call;
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

void admin_page_reply(admin_page_t *page, l7s_status_t status)
{
    if (status != L7S_OK) {
        admin_call_failed(page->call, status);
    } else if (page->ndjson) {
        reply_lines(page);
    } else {
        json_t *next = page->more ? write_cursor(page->last) : json_null();
        admin_call_reply(
            page->call, 200,
            json_pack("{s:O, s:o}", "items", page->items, "next_cursor", next));
    }
    admin_page_clear(page);
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
