/* SPDX-License-Identifier: Apache-2.0
 *
 * `pattern` of a schema: the part of ECMA 262's syntax that has the same meaning as POSIX
 * extended expressions, translated and handed to regcomp. Look-around, back references,
 * lazy repeats and Unicode classes are refused at compilation, not half understood. Only
 * our own schemas are compiled, so an outsider never chooses an expression.
 */
#include "schema_node.h"
#include <stdlib.h>
#include <string.h>

enum { PATTERN_MAX = 1024 };

typedef struct {
    const char *at;
    size_t length;
    char text[PATTERN_MAX];
} translation_t;

static bool emit(translation_t *to, const char *text)
{
    size_t size = strlen(text);

    if (to->length + size >= sizeof to->text) {
        return false;
    }
    memcpy(to->text + to->length, text, size + 1);
    to->length += size;
    return true;
}

static bool emit_char(translation_t *to, char c)
{
    return emit(to, (char[]){c, '\0'});
}

/* The class that \d and its like stand for, without brackets. */
static const char *class_of(char letter)
{
    switch (letter) {
    case 'd':
        return "0-9";
    case 'w':
        return "A-Za-z0-9_";
    case 's':
        return " \t\n\r\f\v";
    default:
        return NULL;
    }
}

static bool translate_escape(translation_t *to)
{
    char letter = *to->at++;
    char lower = (char)(letter | 0x20);
    const char *class = class_of(lower);

    if (class != NULL) {
        return emit(to, letter == lower ? "[" : "[^") && emit(to, class) && emit(to, "]");
    }
    if (letter == '\0' || strchr("^$\\.*+?()[]{}|/-", letter) == NULL) {
        return false;
    }
    /* In POSIX an escaped ordinary character is undefined. */
    return (letter == '/' || letter == '-' || emit(to, "\\")) && emit_char(to, letter);
}

/* Within brackets POSIX knows no escapes: only classes are translated, and a '-' that was
 * escaped must be written last. */
static bool translate_bracket(translation_t *to)
{
    if (*to->at == '^') {
        emit_char(to, *to->at++);
    }
    while (*to->at != ']') {
        const char *class = NULL;

        if (*to->at == '\0' || *to->at == '[') {
            return false;
        }
        if (*to->at != '\\') {
            if (!emit_char(to, *to->at++)) {
                return false;
            }
            continue;
        }
        class = class_of(to->at[1]);
        if (class == NULL || !emit(to, class)) {
            return false;
        }
        to->at += 2;
    }
    return emit_char(to, *to->at++);
}

static bool translate(translation_t *to)
{
    while (*to->at != '\0') {
        char c = *to->at++;
        bool done = false;

        if (c == '\\') {
            done = translate_escape(to);
        } else if (c == '[') {
            done = emit_char(to, c) && translate_bracket(to);
        } else if (c == '(' && strncmp(to->at, "?:", 2) == 0) {
            to->at += 2;
            done = emit_char(to, c);
        } else if (c == '(' && *to->at == '?') {
            done = false;
        } else if (strchr("*+?}", c) != NULL && *to->at == '?') {
            done = false; /* lazy */
        } else {
            done = emit_char(to, c);
        }
        if (!done) {
            return false;
        }
    }
    return true;
}

regex_t *l7s_schema_pattern(const char *source)
{
    translation_t to = {.at = source};
    regex_t *pattern = NULL;

    if (!translate(&to)) {
        return NULL;
    }
    pattern = malloc(sizeof *pattern);
    if (pattern != NULL && regcomp(pattern, to.text, REG_EXTENDED | REG_NOSUB) != 0) {
        free(pattern);
        return NULL;
    }
    return pattern;
}

void l7s_schema_pattern_free(regex_t *pattern)
{
    if (pattern != NULL) {
        regfree(pattern);
        free(pattern);
    }
}
