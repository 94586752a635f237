/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths, globs and hosts against plain references: split into segments, walk them, join
 * them again. Input: the buffer's size in one byte, then the raw path, a glob, a host and
 * a pattern, one a line.
 */
#include "../../core/path.h"
#include "input.h"

/* --- the reference of the normaliser --- */

static int hex(char c)
{
    const char *digits = "0123456789abcdefABCDEF",
               *at = c != '\0' ? strchr(digits, c) : 0;
    int value = at != NULL ? (int)(at - digits) : -1;
    return value > 15 ? value - 6 : value;
}

static char *decode(const char *raw)
{
    char *out = malloc(strlen(raw) + 1);
    size_t size = 0;
    fuzz_must(out != NULL, "memory");
    while (*raw != '\0' && *raw != '?') {
        int high = *raw == '%' ? hex(raw[1]) : -1, low = high >= 0 ? hex(raw[2]) : -1;
        bool escape = low >= 0 && high * 16 + low != 0;
        out[size++] = escape ? (char)(high * 16 + low) : *raw;
        raw += escape ? 3 : 1;
    }
    out[size] = '\0';
    return out;
}

/* Owned by the caller. */
static char *plain_normalise(const char *raw)
{
    char *path = decode(raw), *out = malloc(strlen(path) + 3);
    size_t size = 0;
    bool folder = true;
    fuzz_must(out != NULL, "memory");
    for (char *at = path; *at != '\0'; at += strcspn(at, "/")) {
        folder = *at == '/';
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        if (length == 0) {
            break;
        }
        folder = (length == 1 && at[0] == '.') ||
                 (length == 2 && at[0] == '.' && at[1] == '.');
        if (folder) {
            while (length == 2 && size > 0 && out[--size] != '/') {
            }
            continue;
        }
        out[size++] = '/';
        memcpy(out + size, at, length);
        size += length;
    }
    if (folder || size == 0) {
        out[size++] = '/';
    }
    out[size] = '\0';
    free(path);
    return out;
}

static void check_normalise(const char *raw, size_t capacity)
{
    char *out = malloc(capacity), *expected = plain_normalise(raw);
    bool cut = true;
    fuzz_must(out != NULL, "memory");
    size_t size = l7s_path_normalise(raw, out, capacity, &cut);
    fuzz_must(size < capacity && size == strlen(out) && out[0] == '/', "in its buffer");
    fuzz_must(cut ? strncmp(out, expected, size) == 0 && strlen(expected) > size
                  : strcmp(out, expected) == 0,
              "normalised as by the plain way");
    free(out);
    free(expected);
}

/* --- the reference of the globs --- */

#define REFERENCE_MAX 48

static bool plain_matches(const char *glob, const char *path)
{
    bool table[REFERENCE_MAX + 1][REFERENCE_MAX + 1];
    size_t globs = strlen(glob), paths = strlen(path);
    for (size_t g = globs + 1; g-- > 0;) {
        for (size_t p = paths + 1; p-- > 0;) {
            bool holds =
                g < globs && glob[g] == path[p] && p < paths && table[g + 1][p + 1];
            if (strcmp(glob + g, "/**") == 0) {
                holds = path[p] == '/' || path[p] == '\0';
            } else if (g == globs) {
                holds = p == paths;
            } else if (glob[g] == '*') {
                holds =
                    table[g + 1][p] || (p < paths && path[p] != '/' && table[g][p + 1]);
            }
            table[g][p] = holds;
        }
    }
    return table[0][0];
}

static void check_glob(const char *glob, const char *raw)
{
    char *path = plain_normalise(raw);
    bool matches = l7s_path_matches(glob, path);
    if (l7s_path_glob_error(glob) == NULL && strlen(glob) <= REFERENCE_MAX &&
        strlen(path) <= REFERENCE_MAX) {
        fuzz_must(matches == plain_matches(glob, path), "matched as by the plain way");
    }
    free(path);
}

/* "*.example.com" is every name that ends in ".example.com" and has more before it. */
static void check_host(const char *host, const char *pattern)
{
    size_t size = strlen(host), tail = strlen(pattern);
    bool wild = strncmp(pattern, "*.", 2) == 0;
    bool expected = wild
                        ? size >= tail && strcmp(host + size - tail + 1, pattern + 1) == 0
                        : strcmp(host, pattern) == 0;
    fuzz_must(l7s_host_matches(pattern, host) == expected, "a host matches by its end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    size_t capacity = 2 + fuzz_number(&input, 1);
    char *raw = fuzz_line(&input), *glob = fuzz_line(&input);
    char *host = fuzz_line(&input), *pattern = fuzz_line(&input);
    check_normalise(raw, capacity);
    check_normalise(raw, L7S_PATH_MAX);
    check_glob(glob, raw);
    check_host(host, pattern);
    free(raw);
    free(glob);
    free(host);
    free(pattern);
    return 0;
}
