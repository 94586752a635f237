/* SPDX-License-Identifier: Apache-2.0
 *
 * What all fuzz targets share: the entry points that libFuzzer calls, reading decisions
 * from the head of an input, and copies that end where their bytes do, so that the
 * address sanitizer sees every byte read too far.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold; libFuzzer keeps the input for which it does not. */
static inline void fuzz_must(bool holds, const char *property)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", property);
        abort();
    }
}

/* What has not been read yet. */
typedef struct {
    const uint8_t *at;
    size_t left;
} fuzz_input_t;

/* The next `bytes` bytes, little endian; zeros where the input has ended. */
static inline uint32_t fuzz_number(fuzz_input_t *input, unsigned bytes)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < bytes && input->left > 0; i++, input->at++, input->left--) {
        number |= (uint32_t)*input->at << (8 * i);
    }
    return number;
}

/* Owned by the caller. */
static inline void *fuzz_copy(const void *bytes, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    fuzz_must(copy != NULL, "memory");
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* The text up to the next line's end or the end of the input, without NULs; owned by the
 * caller. */
static inline char *fuzz_line(fuzz_input_t *input)
{
    char *line = malloc(input->left + 1), *fitting;
    size_t size = 0;
    fuzz_must(line != NULL, "memory");
    while (input->left > 0) {
        char c = (char)fuzz_number(input, 1);
        if (c == '\n') {
            break;
        }
        if (c != '\0') {
            line[size++] = c;
        }
    }
    line[size] = '\0';
    fitting = fuzz_copy(line, size + 1);
    free(line);
    return fitting;
}

#endif
