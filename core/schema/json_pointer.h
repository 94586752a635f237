/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON Pointer (RFC 6901) that grows and shrinks while a document is walked. It has the
 * size of l7s_problem_t.pointer; what does not fit is cut between characters, never
 * within one, and popping restores the shorter pointer in any case.
 */
#ifndef L7S_JSON_POINTER_H
#define L7S_JSON_POINTER_H

#include "../status.h"

typedef struct {
    size_t length;
    char text[192];
} l7s_pointer_t;

void l7s_pointer_begin(l7s_pointer_t *pointer);

/* Appends "/key" or "/index". Returns the mark to pop back to. */
size_t l7s_pointer_push(l7s_pointer_t *pointer, const char *key);
size_t l7s_pointer_push_index(l7s_pointer_t *pointer, size_t index);
void l7s_pointer_pop(l7s_pointer_t *pointer, size_t mark);

/* Decodes the reference token in [text, text + size) into `out`: ~0, ~1 and, since
 * pointers stand in URI fragments, percent escapes. False: invalid or too long. */
bool l7s_pointer_decode(const char *text, size_t size, char *out, size_t capacity);

#endif
