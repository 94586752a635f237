/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way to read JSON that somebody else wrote. jansson checks the grammar, UTF-8
 * and duplicate keys; the depth is checked before, on the text, so that a deep document
 * costs neither stack nor memory.
 */
#include "config.h"
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 32 };
#define MARK "\xef\xbb\xbf" /* that some editors put in front of UTF-8 */
static const char TOO_DEEP[] = "nested deeper than 32 levels";

/* Finds the bracket that opens level DEPTH_MAX + 1; NULL when there is none. Brackets
 * within strings do not count; what is wrong with the text otherwise is found later. */
static const char *too_deep(const char *text, size_t size)
{
    bool in_string = false;
    unsigned depth = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX) {
                return text + i;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return NULL;
}

/* The parser's message quotes the input: only its harmless characters are kept. */
static void add_error(l7s_problems_t *problems, const json_error_t *error)
{
    char text[JSON_ERROR_TEXT_LENGTH];
    size_t length = 0;
    /* jansson names a flag of its own there. */
    const char *why = json_error_code(error) == json_error_null_character
                          ? "\\u0000 is not allowed"
                          : error->text;

    for (const char *c = why; *c != '\0' && length + 1 < sizeof text; c++) {
        text[length++] = *c >= ' ' && *c < 0x7f ? *c : '?';
    }
    text[length] = '\0';
    l7s_problems_add(problems, "", "invalid_json", "line %d, column %d: %s", error->line,
                     error->column, text);
}

static void add_at(l7s_problems_t *problems, const char *text, const char *at,
                   const char *why)
{
    int line = 1, column = 0;

    for (; text <= at; text++) {
        line += *text == '\n';
        column = *text == '\n' ? 0 : column + 1;
    }
    l7s_problems_add(problems, "", "invalid_json", "line %d, column %d: %s", line, column,
                     why);
}

json_t *l7s_json_read(const char *text, size_t size, l7s_problems_t *problems)
{
    /* jansson takes a NUL after a number for the end of the text. */
    const char *nul = memchr(text, '\0', size);
    const char *deep = too_deep(text, size);
    json_error_t error;
    json_t *value = NULL;

    if (size >= sizeof MARK - 1 && memcmp(text, MARK, sizeof MARK - 1) == 0) {
        add_at(problems, text, text, "a byte order mark; send UTF-8 without one");
        return NULL;
    }
    if (nul != NULL || deep != NULL) {
        add_at(problems, text, nul != NULL ? nul : deep,
               nul != NULL ? "a NUL byte" : TOO_DEEP);
        return NULL;
    }
    value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        add_error(problems, &error);
    }
    return value;
}
