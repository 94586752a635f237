/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over the ranges of the header. Each form remembers the most exact range that
 * covers it, which gives it its weight; a range that cannot be read counts as not there.
 */
#include "accept.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define FORMS 3

/* How exactly a range names a form: not at all, by a star, by name. */
enum { UNNAMED, ANYTHING, ANY_SUBTYPE, NAMED };

typedef struct {
    const char *text;
    size_t length;
} span_t;

typedef struct {
    int exactness[FORMS];
    unsigned weight[FORMS]; /* in thousandths */
    unsigned place[FORMS];  /* of the range that said so */
} wanted_t;

static span_t trim(const char *start, const char *end)
{
    while (start < end && (*start == ' ' || *start == '\t')) {
        start++;
    }
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return (span_t){start, (size_t)(end - start)};
}

static bool is(span_t span, const char *name)
{
    return span.length == strlen(name) && strncasecmp(span.text, name, span.length) == 0;
}

static bool ends_in(span_t span, const char *name)
{
    size_t length = strlen(name);

    return span.length >= length &&
           strncasecmp(span.text + span.length - length, name, length) == 0;
}

/* Whoever reads any kind of JSON reads a problem. */
static bool is_json(span_t range)
{
    static const char type[] = "application/";

    return range.length > sizeof type - 1 &&
           strncasecmp(range.text, type, sizeof type - 1) == 0 &&
           (ends_in(range, "/json") || ends_in(range, "+json"));
}

static int exactness_of(l7s_form_t form, span_t range)
{
    if (is(range, "*/*")) {
        return ANYTHING;
    }
    switch (form) {
    case L7S_FORM_HTML:
        return is(range, "text/html") || is(range, "application/xhtml+xml") ? NAMED
               : is(range, "text/*")                                        ? ANY_SUBTYPE
                                                                            : UNNAMED;
    case L7S_FORM_PROBLEM:
        return is_json(range)               ? NAMED
               : is(range, "application/*") ? ANY_SUBTYPE
                                            : UNNAMED;
    default:
        return is(range, "text/plain") ? NAMED
               : is(range, "text/*")   ? ANY_SUBTYPE
                                       : UNNAMED;
    }
}

/* "0.8" as 800; 1000 for what is no weight, since a client that errs should be served. */
static unsigned read_weight(span_t value)
{
    unsigned weight = 0, unit = 1000;

    if (value.length == 0 || (value.text[0] != '0' && value.text[0] != '1') ||
        (value.length > 1 && value.text[1] != '.')) {
        return 1000;
    }
    weight = value.text[0] == '1' ? 1000 : 0;
    for (size_t i = 2; i < value.length && i < 5; i++) {
        if (value.text[i] < '0' || value.text[i] > '9') {
            return 1000;
        }
        unit /= 10;
        weight += (unsigned)(value.text[i] - '0') * unit;
    }
    return weight > 1000 ? 1000 : weight;
}

/* The weight among the parameters behind a range. */
static unsigned weight_of(const char *at, const char *end)
{
    while (at < end) {
        const char *next = memchr(at, ';', (size_t)(end - at));
        span_t parameter = trim(at, next != NULL ? next : end);

        if (parameter.length >= 2 && (parameter.text[0] | 0x20) == 'q' &&
            parameter.text[1] == '=') {
            return read_weight((span_t){parameter.text + 2, parameter.length - 2});
        }
        at = next != NULL ? next + 1 : end;
    }
    return 1000;
}

typedef struct {
    const char *at, *end; /* what is left of the header */
    unsigned place;
    span_t range; /* the one that was read last, and its weight */
    unsigned weight;
} reader_t;

static reader_t begin(const char *header)
{
    return (reader_t){.at = header,
                      .end = header + strnlen(header, L7S_ACCEPT_BYTES_MAX)};
}

static bool next(reader_t *reader)
{
    if (reader->at >= reader->end || reader->place == L7S_ACCEPT_RANGES_MAX) {
        return false;
    }
    const char *start = reader->at;
    const char *comma = memchr(start, ',', (size_t)(reader->end - start));
    const char *end = comma != NULL ? comma : reader->end;
    const char *parameters = memchr(start, ';', (size_t)(end - start));

    reader->range = trim(start, parameters != NULL ? parameters : end);
    reader->weight = parameters != NULL ? weight_of(parameters + 1, end) : 1000;
    reader->at = comma != NULL ? comma + 1 : reader->end;
    reader->place++;
    return true;
}

static void hear(wanted_t *wanted, span_t range, unsigned weight, unsigned place)
{
    for (l7s_form_t form = 0; form < FORMS; form++) {
        int exactness = exactness_of(form, range);
        if (exactness > wanted->exactness[form]) {
            wanted->exactness[form] = exactness;
            wanted->weight[form] = weight;
            wanted->place[form] = place;
        }
    }
}

static void read_header(wanted_t *wanted, const char *header)
{
    reader_t reader = begin(header);

    while (next(&reader)) {
        hear(wanted, reader.range, reader.weight, reader.place);
    }
}

/* Of a type that is known by its name alone. */
static int exactness_of_type(const char *type, span_t range)
{
    size_t major = strcspn(type, "/") + 1;
    bool any_subtype = range.length == major + 1 && range.text[major] == '*' &&
                       strncasecmp(range.text, type, major) == 0;

    return is(range, type)    ? NAMED
           : any_subtype      ? ANY_SUBTYPE
           : is(range, "*/*") ? ANYTHING
                              : UNNAMED;
}

l7s_accepted_t l7s_accept_type(const char *header, const char *type)
{
    l7s_accepted_t out = {.weight = 0};
    reader_t reader = begin(header);
    int best = UNNAMED;

    while (next(&reader)) {
        int exactness = exactness_of_type(type, reader.range);
        if (exactness > best) {
            best = exactness;
            out = (l7s_accepted_t){reader.weight, reader.place, exactness == NAMED};
        }
    }
    return out;
}

static bool is_better(const wanted_t *wanted, l7s_form_t a, l7s_form_t b)
{
    if (wanted->weight[a] == 0 || wanted->weight[a] != wanted->weight[b]) {
        return wanted->weight[a] > wanted->weight[b];
    }
    if (wanted->exactness[a] != wanted->exactness[b]) {
        return wanted->exactness[a] > wanted->exactness[b];
    }
    return wanted->place[a] < wanted->place[b];
}

l7s_form_t l7s_accept_form(const char *header)
{
    wanted_t wanted = {{0}, {0}, {0}};
    l7s_form_t best = L7S_FORM_TEXT;

    if (header == NULL || strcmp(header, "*/*") == 0) {
        return best;
    }
    read_header(&wanted, header);
    for (l7s_form_t form = 0; form < FORMS; form++) {
        best = is_better(&wanted, form, best) ? form : best;
    }
    return best;
}

bool l7s_accept_names_html(const char *header)
{
    wanted_t wanted = {{0}, {0}, {0}};

    if (header == NULL) {
        return false;
    }
    read_header(&wanted, header);
    return wanted.exactness[L7S_FORM_HTML] == NAMED && wanted.weight[L7S_FORM_HTML] > 0;
}
