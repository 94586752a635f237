/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalising and matching of paths, matching of hosts. A path is read once, from left to
 * right, into the caller's buffer; one without anything to normalise is only looked at.
 *
 * The buffer is bounded but the path is not, and what stands behind the buffer's end may
 * reach back before it ("/" + 2,000 bytes + "/../login" is "/login"). Therefore segments
 * that found no room are still counted, and ".." takes them back one by one.
 */
#include "path.h"

#include <stdint.h>
#include <string.h>

/* out[0…size) is "/a/b" without a slash at the end; `slash` says that one belongs there.
 * The current segment began at `mark`, before its slash. Invariant: lost > 0 or `over`
 * means that out misses its end; the first segment that is not whole began at
 * `lost_mark`. */
typedef struct {
    char *out;
    size_t capacity, size, mark, lost_mark;
    size_t lost;    /* finished segments that are not, or not wholly, in out */
    size_t length;  /* of the current segment, stored or not */
    bool only_dots; /* the current segment, so far */
    bool slash, over;
} writer_t;

static void put(writer_t *w, char c)
{
    if (w->over || w->size + 1 >= w->capacity) {
        w->over = true;
        return;
    }
    w->out[w->size++] = c;
}

static void add_char(writer_t *w, char c)
{
    if (w->length == 0) {
        w->mark = w->size;
        w->only_dots = true;
        put(w, '/');
    }
    w->length++;
    w->only_dots = w->only_dots && c == '.';
    put(w, c);
}

static void drop_current(writer_t *w)
{
    if (w->lost == 0) {
        w->size = w->mark;
        w->over = false;
    }
}

static void drop_previous(writer_t *w)
{
    if (w->lost > 1) {
        w->lost--;
        return;
    }
    if (w->lost == 1) {
        w->lost = 0;
        w->over = false;
        w->size = w->lost_mark;
        return;
    }
    while (w->size > 0 && w->out[--w->size] != '/') {
    }
}

static void end_segment(writer_t *w)
{
    if (w->length > 0 && w->only_dots && w->length <= 2) {
        drop_current(w);
        if (w->length == 2) {
            drop_previous(w);
        }
    } else if (w->length > 0 && w->over) {
        if (w->lost == 0) {
            w->lost_mark = w->mark;
        }
        w->lost++;
    }
    w->length = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded byte at *raw; moves behind it. */
static char next_char(const char **raw)
{
    const char *p = *raw;
    if (p[0] == '%') {
        int high = hex_value(p[1]);
        int low = high < 0 ? -1 : hex_value(p[2]);
        if (low >= 0 && (high | low) != 0) {
            *raw += 3;
            return (char)(high << 4 | low);
        }
    }
    *raw += 1;
    return p[0];
}

static size_t normalise(const char *raw, char *out, size_t capacity, bool *cut)
{
    writer_t w = {.out = out, .capacity = capacity, .slash = true};
    while (*raw != '\0' && *raw != '?') {
        char c = next_char(&raw);
        w.slash = c == '/';
        if (w.slash) {
            end_segment(&w);
        } else {
            add_char(&w, c);
        }
    }
    /* "/a/." and "/a/.." end like "/a/" and "/": a dot segment names a folder. */
    w.slash = w.slash || (w.only_dots && w.length > 0 && w.length <= 2);
    end_segment(&w);
    if (w.slash || w.size == 0) {
        put(&w, '/');
    }
    out[w.size] = '\0';
    *cut = w.over || w.lost > 0;
    return w.size;
}

static inline uint64_t end_bit(size_t length)
{
    return 1ULL << (length < 63 ? length : 63);
}

/* The shape of a path that is normal already; length 0 when it is not, or is too long. */
static l7s_path_shape_t plain_shape(const char *raw, size_t capacity)
{
    /* 1: ends a path or may have to be normalised. */
    static const uint8_t special[256] = {['\0'] = 1, ['?'] = 1, ['%'] = 1, ['/'] = 1};
    l7s_path_shape_t shape = {.ends = 0};
    const char *p = raw;
    while (*p == '/' && p[1] != '/' && p[1] != '.') {
        shape.ends |= end_bit((size_t)(p - raw));
        p++;
        while (special[(uint8_t)*p] == 0) {
            p++;
        }
    }
    size_t size = (size_t)(p - raw);
    shape.ends |= end_bit(size);
    shape.length = (*p == '\0' || *p == '?') && size < capacity ? size : 0;
    return shape;
}

l7s_path_shape_t l7s_path_shape(const char *path)
{
    l7s_path_shape_t shape = {.length = 0};
    for (; path[shape.length] != '\0'; shape.length++) {
        shape.ends |= path[shape.length] == '/' ? end_bit(shape.length) : 0;
    }
    shape.ends |= end_bit(shape.length);
    return shape;
}

size_t l7s_path_normalise(const char *raw, char *out, size_t capacity, bool *cut)
{
    *cut = false;
    size_t size = plain_shape(raw, capacity).length;
    if (size == 0) {
        return normalise(raw, out, capacity, cut);
    }
    memcpy(out, raw, size);
    out[size] = '\0';
    return size;
}

/* One that is not normal, or whose query is cut: into `out`. */
static __attribute__((noinline)) const char *
read_into(const char *raw, char *out, size_t capacity, l7s_path_shape_t *shape)
{
    bool cut;

    (void)l7s_path_normalise(raw, out, capacity, &cut);
    *shape = l7s_path_shape(out);
    return out;
}

const char *l7s_path_read(const char *raw, char *out, size_t capacity,
                          l7s_path_shape_t *shape)
{
    *shape = plain_shape(raw, capacity);
    return shape->length > 0 && raw[shape->length] == '\0'
               ? raw
               : read_into(raw, out, capacity, shape);
}

bool l7s_path_matches(const char *glob, const char *path)
{
    /* The last star of the current segment and where its run ends at the moment. A slash
     * in the glob settles everything before it, since no run crosses a slash. */
    const char *star = NULL, *run = NULL;
    for (;;) {
        if (*glob == '/') {
            star = *path == '/' ? NULL : star;
            if (glob[1] == '*' && glob[2] == '*' && (*path == '/' || *path == '\0')) {
                return true;
            }
        }
        if (*glob == '*') {
            star = ++glob;
            run = path;
        } else if (*glob == *path) {
            if (*glob == '\0') {
                return true;
            }
            glob++;
            path++;
        } else {
            if (star == NULL || *run == '\0' || *run == '/') {
                return false;
            }
            path = ++run;
            glob = star;
        }
    }
}

/* "." or ".." between slashes at `segment`. */
static bool is_dot_segment(const char *segment)
{
    size_t size = strcspn(segment, "/");
    return (size == 1 && segment[0] == '.') ||
           (size == 2 && segment[0] == '.' && segment[1] == '.');
}

const char *l7s_path_glob_error(const char *glob)
{
    if (glob[0] != '/') {
        return "a path pattern begins with '/'";
    }
    if (strlen(glob) >= L7S_PATH_MAX) {
        return "a path pattern has at most 1023 characters";
    }
    for (const char *p = glob; *p != '\0'; p++) {
        if (*p == '?') {
            return "paths are matched without their query: leave out '?'";
        }
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return "a path pattern has no control characters";
        }
        if (*p == '%' && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0) {
            return "paths are matched decoded: write the character, not its %XX";
        }
        if (*p == '/' && p[1] == '/') {
            return "paths are matched with slashes merged: write one '/'";
        }
        if (*p == '/' && is_dot_segment(p + 1)) {
            return "paths are matched with dot segments removed: leave out '.' and '..'";
        }
        if (p[0] == '*' && p[1] == '*' && (p[-1] != '/' || p[2] != '\0')) {
            return "'**' stands alone behind the last '/': \"/below/**\"";
        }
    }
    return NULL;
}

bool l7s_host_matches(const char *pattern, const char *host)
{
    if (pattern[0] != '*' || pattern[1] != '.') {
        return strcmp(pattern, host) == 0;
    }
    size_t suffix = strlen(pattern + 1), size = strlen(host);
    return size > suffix && memcmp(host + size - suffix, pattern + 1, suffix) == 0;
}
