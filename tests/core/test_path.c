/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths and hosts: tables of spellings, and random paths compared with a naive normaliser
 * that keeps all segments of an unbounded path.
 */
#include "../../core/path.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_path_normalise_spellings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"/", "/"},
        {"", "/"},
        {"/login", "/login"},
        {"/login?next=/admin", "/login"},
        {"?x", "/"},
        {"login", "/login"},
        {"*", "/*"},
        {"//login", "/login"},
        {"///a////b//", "/a/b/"},
        {"/./login", "/login"},
        {"/a/./b", "/a/b"},
        {"/a/../login", "/login"},
        {"/../../login", "/login"},
        {"/a/b/..", "/a/"},
        {"/a/b/../", "/a/"},
        {"/a/.", "/a/"},
        {"/..", "/"},
        {"/a/b/../../..", "/"},
        {"/a/...", "/a/..."},
        {"/.hidden", "/.hidden"},
        {"/..a/b..", "/..a/b.."},
        {"/%6c%6F%67in", "/login"},
        {"/%2e%2e/login", "/login"},
        {"/a/%2e./login", "/login"},
        {"/a%2f..%2flogin", "/login"},
        {"/a%2F%2Fb", "/a/b"},
        {"/%252e%252e/login", "/%2e%2e/login"}, /* once, not twice */
        {"/a%3Fb", "/a?b"},
        {"/a%00b", "/a%00b"},
        {"/a%", "/a%"},
        {"/a%4", "/a%4"},
        {"/a%zz", "/a%zz"},
        {"/a%4g/../b", "/b"},
        {"/caf%C3%A9", "/caf\xc3\xa9"},
        {"/a;x=1/b", "/a;x=1/b"},
        {"/A/b", "/A/b"},
        {"/a\\..\\b", "/a\\..\\b"},
        {"/%", "/%"},
        {"%2f", "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[L7S_PATH_MAX];
        bool cut = true;
        size_t size = l7s_path_normalise(cases[i][0], out, sizeof out, &cut);
        assert_string_equal(out, cases[i][1]);
        assert_int_equal(size, strlen(out));
        assert_false(cut);
    }
}

static void test_path_normalise_long_path_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        size_t capacity;
        const char *out;
        bool cut;
    } cases[] = {
        {"/abc", 5, "/abc", false},
        {"/abcd", 5, "/abc", true},
        {"/abc/", 5, "/abc", true},
        {"/abc//", 5, "/abc", true},
        {"/abc/.", 5, "/abc", true},
        {"/abc/../d", 5, "/d", false},
        {"/abcdefgh/../d", 5, "/d", false},
        {"/ab/cdefgh/../d", 6, "/ab/d", false},
        {"/abcdefgh/ij/kl/../../../d", 5, "/d", false},
        {"/abcdefgh/ij/../kl", 5, "/abc", true},
        {"/abcdefgh/.", 5, "/abc", true},
        {"/%61%62%63%64", 4, "/ab", true},
        {"/a/%2e%2e/abc", 5, "/abc", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[8];
        bool cut;
        l7s_path_normalise(cases[i].raw, out, cases[i].capacity, &cut);
        assert_string_equal(out, cases[i].out);
        assert_int_equal(cut, cases[i].cut);
    }
}

/* What stands behind the buffer reaches back before it: not a way past a policy. */
static void test_path_normalise_long_detour_is_followed_back(void **state)
{
    (void)state;
    static char raw[20000];
    char out[L7S_PATH_MAX];
    bool cut;
    memset(raw, 'a', 9000);
    raw[0] = '/';
    strcpy(raw + 9000, "/../login");
    l7s_path_normalise(raw, out, sizeof out, &cut);
    assert_string_equal(out, "/login");
    assert_false(cut);

    size_t at = 0;
    for (int i = 0; i < 2000; i++) {
        at += (size_t)sprintf(raw + at, "/ab");
    }
    for (int i = 0; i < 2000; i++) {
        at += (size_t)sprintf(raw + at, "/..");
    }
    strcpy(raw + at, "/login");
    l7s_path_normalise(raw, out, sizeof out, &cut);
    assert_string_equal(out, "/login");
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c | 0x20);
    return at == NULL || (c < '0') ? -1 : (int)(at - digits);
}

static size_t naive_decode(const char *raw, char *out)
{
    size_t size = 0;
    for (; *raw != '\0' && *raw != '?'; raw++) {
        int high = *raw == '%' ? hex(raw[1]) : -1;
        int low = high >= 0 ? hex(raw[2]) : -1;
        if (low >= 0 && high * 16 + low != 0) {
            out[size++] = (char)(high * 16 + low);
            raw += 2;
        } else {
            out[size++] = *raw;
        }
    }
    out[size] = '\0';
    return size;
}

/* All segments on a stack, joined at the end. */
static void naive_normalise(const char *raw, char *out)
{
    char decoded[512], *segments[512];
    size_t depth = 0;
    bool slash = true;
    naive_decode(raw, decoded);
    char *rest = decoded;
    for (char *segment; (segment = strsep(&rest, "/")) != NULL;) {
        slash = strcmp(segment, "") == 0 || strcmp(segment, ".") == 0 ||
                strcmp(segment, "..") == 0;
        if (!slash) {
            segments[depth++] = segment;
        } else if (strcmp(segment, "..") == 0 && depth > 0) {
            depth--;
        }
    }
    *out = '\0';
    for (size_t i = 0; i < depth; i++) {
        strcat(strcat(out, "/"), segments[i]);
    }
    if (slash || depth == 0) {
        strcat(out, "/");
    }
}

static void random_path(uint64_t *seed, char *raw, size_t capacity)
{
    static const char *const pieces[] = {
        "/",   "//", "/./", "/../", "..",  ".", "%2e", "%2F", "%25", "%",   "%0",
        "%00", "a",  "bc",  "?",    "%3f", "z", "/",   "/..", "%41", "\xff"};
    size_t size = 0;
    raw[0] = '\0';
    for (uint64_t n = seeded_below(seed, 30); n > 0; n--) {
        const char *piece = pieces[seeded_below(seed, sizeof pieces / sizeof pieces[0])];
        if (size + strlen(piece) >= capacity) {
            break;
        }
        strcpy(raw + size, piece);
        size += strlen(piece);
    }
}

static void test_path_normalise_random_paths_equal_naive_normaliser(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int i = 0; i < 150000; i++) {
        char raw[200], whole[512], *out;
        bool cut;
        random_path(&seed, raw, sizeof raw);
        naive_normalise(raw, whole);
        size_t capacity = 2 + seeded_below(&seed, i % 2 ? 14 : 200);
        out = malloc(capacity); /* its exact size: the sanitizer sees one byte too much */
        size_t size = l7s_path_normalise(raw, out, capacity, &cut);
        bool too_long = strlen(whole) > capacity - 1;
        whole[too_long ? capacity - 1 : strlen(whole)] = '\0';
        assert_string_equal(out, whole);
        assert_int_equal(size, strlen(whole));
        assert_int_equal(cut, too_long);
        free(out);
    }
}

static void test_path_normalise_result_has_no_detours_and_is_stable(void **state)
{
    (void)state;
    uint64_t seed = 8;
    for (int i = 0; i < 80000; i++) {
        char raw[200], out[L7S_PATH_MAX], again[L7S_PATH_MAX];
        bool cut;
        random_path(&seed, raw, sizeof raw);
        l7s_path_normalise(raw, out, sizeof out, &cut);
        assert_int_equal(out[0], '/');
        assert_null(strstr(out, "//"));
        assert_null(strstr(out, "/./"));
        assert_null(strstr(out, "/../"));
        size_t size = strlen(out);
        assert_false(size >= 2 && strcmp(out + size - 2, "/.") == 0);
        assert_false(size >= 3 && strcmp(out + size - 3, "/..") == 0);
        if (strpbrk(out, "%?") == NULL) { /* a decoded '?' would be cut as a query */
            l7s_path_normalise(out, again, sizeof again, &cut);
            assert_string_equal(again, out);
        }
    }
}

static void test_path_read_copies_only_what_is_not_normal(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *path;
        bool same;
    } cases[] = {
        {"/", "/", true},
        {"/a/b.html", "/a/b.html", true},
        {"/a/", "/a/", true},
        {"/a?b", "/a", false},
        {"/a%20b", "/a b", false},
        {"//a", "/a", false},
        {"/a/../b", "/b", false},
        {"a", "/a", false},
        {"/1234567", "/123456", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16];
        size_t capacity = i + 1 < sizeof cases / sizeof cases[0] ? sizeof out : 8;
        l7s_path_shape_t shape, same;
        const char *path = l7s_path_read(cases[i].raw, out, capacity, &shape);
        assert_string_equal(path, cases[i].path);
        same = l7s_path_shape(path);
        assert_int_equal(shape.length, strlen(path));
        assert_int_equal(shape.length, same.length);
        assert_int_equal(shape.ends, same.ends);
        assert_ptr_equal(path, cases[i].same ? cases[i].raw : out);
    }
}

static void test_path_matches_table(void **state)
{
    (void)state;
    static const struct {
        const char *glob, *path;
        bool match;
    } cases[] = {
        {"/login", "/login", true},
        {"/login", "/login/", false},
        {"/login", "/login/x", false},
        {"/login", "/Login", false},
        {"/login", "/logi", false},
        {"/login/**", "/login", true},
        {"/login/**", "/login/", true},
        {"/login/**", "/login/a/b", true},
        {"/login/**", "/loginx", false},
        {"/login/**", "/", false},
        {"/**", "/", true},
        {"/**", "/a/b", true},
        {"/*", "/", true},
        {"/*", "/a", true},
        {"/*", "/a/", false},
        {"/*", "/a/b", false},
        {"/api/*/auth", "/api/v1/auth", true},
        {"/api/*/auth", "/api/v1/x/auth", false},
        {"/api/*/auth/**", "/api/v1/auth", true},
        {"/api/*/auth/**", "/api/v1/auth/x/y", true},
        {"/api/*/auth/**", "/api/v1/authx", false},
        {"/a*c", "/abc", true},
        {"/a*c", "/ac", true},
        {"/a*c", "/ab/c", false},
        {"/a*c", "/abcbc", true},
        {"/a*b*c", "/aXbYbZc", true},
        {"/a*b*c", "/aXcYb", false},
        {"/*.php", "/x.php", true},
        {"/*.php", "/x.php.bak", false},
        {"/*.php", "/x.phpx.php", true},
        {"/*/**", "/a", true},
        {"/a*/**", "/abc", true},
        {"/a*/**", "/abc/d", true},
        {"/a*/**", "/bc/d", false},
        {"/x/*", "/x/", true},
        {"/x/*", "/x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_path_matches(cases[i].glob, cases[i].path), cases[i].match);
    }
}

/* The definition, by recursion. */
static bool naive_matches(const char *glob, const char *path)
{
    if (strcmp(glob, "/**") == 0 && (*path == '/' || *path == '\0')) {
        return true;
    }
    if (*glob == '*') {
        return naive_matches(glob + 1, path) ||
               (*path != '\0' && *path != '/' && naive_matches(glob, path + 1));
    }
    if (*glob != *path) {
        return false;
    }
    return *glob == '\0' || naive_matches(glob + 1, path + 1);
}

static void test_path_matches_random_globs_equal_definition(void **state)
{
    (void)state;
    uint64_t seed = 9;
    unsigned matches = 0;
    for (int i = 0; i < 200000; i++) {
        char glob[16] = "/", path[16] = "/";
        size_t g = 1, p = 1;
        for (uint64_t n = seeded_below(&seed, 9); n > 0; n--) {
            glob[g++] = "ab**/"[seeded_below(&seed, 5)];
        }
        for (uint64_t n = seeded_below(&seed, 9); n > 0; n--) {
            path[p++] = "aab/"[seeded_below(&seed, 4)];
        }
        glob[g] = path[p] = '\0';
        if (seeded_below(&seed, 3) == 0) {
            strcat(glob, "/**");
        }
        if (l7s_path_glob_error(glob) != NULL) {
            continue;
        }
        bool match = l7s_path_matches(glob, path);
        matches += match;
        assert_int_equal(match, naive_matches(glob, path));
    }
    assert_true(matches > 1000);
}

static void test_path_glob_error_tells_what_never_matches(void **state)
{
    (void)state;
    static const char *const good[] = {"/",          "/login",          "/*",
                                       "/**",        "/a/*/b/**",       "/%",
                                       "/100%-sure", "/.well-known/**", "/a*b"};
    static const char *const bad[] = {
        "",     "login", "**",   "*",     "/a?b",   "/a%20b", "//",    "/a//b",
        "/./a", "/a/..", "/a**", "/**/a", "/a/**b", "/***",   "/a\nb", "/a/../b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_null(l7s_path_glob_error(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(l7s_path_glob_error(bad[i]));
    }
    char *giant = malloc(L7S_PATH_MAX + 1);
    memset(giant, 'a', L7S_PATH_MAX);
    giant[0] = '/';
    giant[L7S_PATH_MAX] = '\0';
    assert_non_null(l7s_path_glob_error(giant));
    giant[L7S_PATH_MAX - 1] = '\0';
    assert_null(l7s_path_glob_error(giant));
    free(giant);
}

static void test_host_matches_table(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *host;
        bool match;
    } cases[] = {
        {"example.com", "example.com", true},
        {"example.com", "www.example.com", false},
        {"*.example.com", "www.example.com", true},
        {"*.example.com", "a.b.example.com", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "badexample.com", false},
        {"*.example.com", "", false},
        {"", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_host_matches(cases[i].pattern, cases[i].host),
                         cases[i].match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_normalise_spellings),
        cmocka_unit_test(test_path_normalise_long_path_is_cut),
        cmocka_unit_test(test_path_normalise_long_detour_is_followed_back),
        cmocka_unit_test(test_path_normalise_random_paths_equal_naive_normaliser),
        cmocka_unit_test(test_path_normalise_result_has_no_detours_and_is_stable),
        cmocka_unit_test(test_path_read_copies_only_what_is_not_normal),
        cmocka_unit_test(test_path_matches_table),
        cmocka_unit_test(test_path_matches_random_globs_equal_definition),
        cmocka_unit_test(test_path_glob_error_tells_what_never_matches),
        cmocka_unit_test(test_host_matches_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
