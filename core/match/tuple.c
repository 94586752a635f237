/* SPDX-License-Identifier: Apache-2.0
 *
 * Tuples from a request. The frequent ones (client, network) are hashed without building
 * the general encoding. Writing a tuple as text is for refusals and records, not for
 * every request; what does not fit is replaced by its hash, so that two keys never look
 * alike.
 */
#include "tuple.h"

#include <stdio.h>
#include <string.h>

_Static_assert(L7S_SPECS_MAX % 8 == 0, "states are cleared eight at once");

static const l7s_spec_t *spec_at(const l7s_tuples_t *tuples, uint32_t spec)
{
    return (const l7s_spec_t *)l7s_image_section(tuples->matcher->image,
                                                 L7S_SECTION_SPECS) +
           spec;
}

void l7s_tuples_begin(l7s_tuples_t *tuples, l7s_matcher_t *matcher)
{
    const l7s_request_t *request = matcher->request;
    const l7s_memo_t *memo = request->memo;

    tuples->matcher = matcher;
    /* Eight at once, mostly once. */
    for (uint32_t i = 0; i < matcher->image->sections[L7S_SECTION_SPECS].count; i += 8) {
        memset(tuples->states + i, 0, 8);
    }
    if (memo != NULL && memo->has_digest && request->generation != 0) {
        l7s_tuples_learn_client(tuples, memo->digest);
    }
}

/* --- parts --- */

static l7s_cidr_t client_of(const l7s_tuples_t *tuples)
{
    return l7s_addr_client(&tuples->matcher->request->client);
}

static l7s_cidr_t network_of(const l7s_tuples_t *tuples, const l7s_spec_t *spec)
{
    const l7s_addr_t *client = &tuples->matcher->request->client;
    l7s_cidr_t network;

    network.prefix =
        l7s_addr_is_v4(client) ? (uint8_t)(96 + spec->ipv4_prefix) : spec->ipv6_prefix;
    network.base = l7s_addr_mask(client, network.prefix);
    return network;
}

/* True when the spec is one address or network and nothing else. */
static bool address_of(const l7s_tuples_t *tuples, const l7s_spec_t *spec,
                       l7s_cidr_t *out)
{
    if (spec->part_count != 1 ||
        (spec->parts[0] != L7S_PART_CLIENT && spec->parts[0] != L7S_PART_NETWORK)) {
        return false;
    }
    *out =
        spec->parts[0] == L7S_PART_CLIENT ? client_of(tuples) : network_of(tuples, spec);
    return true;
}

/* The header's or cookie's name; NULL for parts that have none. */
static const char *name_of(const l7s_tuples_t *tuples, const l7s_spec_t *spec, unsigned i)
{
    const l7s_image_t *image = tuples->matcher->image;
    const uint32_t *names =
        l7s_image_section(image, spec->parts[i] == L7S_PART_COOKIE ? L7S_SECTION_COOKIES
                                                                   : L7S_SECTION_HEADERS);

    return l7s_part_is_named(spec->parts[i])
               ? l7s_image_text(image, names[spec->names[i]])
               : NULL;
}

/* The value of a part that is a string; NULL: absent. */
static const char *value_of(const l7s_tuples_t *tuples, const l7s_spec_t *spec,
                            unsigned i)
{
    const l7s_request_t *request = tuples->matcher->request;

    switch (spec->parts[i]) {
    case L7S_PART_PATH:
        return request->path;
    case L7S_PART_HOST:
        return request->host;
    case L7S_PART_APP:
        return tuples->matcher->app;
    case L7S_PART_HEADER:
        return l7s_matcher_header(tuples->matcher, spec->names[i]);
    case L7S_PART_ASN:
        return l7s_matcher_asn(tuples->matcher);
    case L7S_PART_COUNTRY:
        return l7s_matcher_country(tuples->matcher);
    case L7S_PART_COOKIE:
        return l7s_matcher_cookie(tuples->matcher, spec->names[i]);
    case L7S_PART_USER:
        return request->user;
    default:
        return "";
    }
}

/* --- digests --- */

static l7s_hash128_t digest_cidr(const l7s_tuples_t *tuples, l7s_part_t part,
                                 const l7s_cidr_t *cidr)
{
    return l7s_key_digest_cidr(&tuples->matcher->image->count_key, part, cidr);
}

static void add_string(l7s_key_t *key, const l7s_tuples_t *tuples, const l7s_spec_t *spec,
                       unsigned i, const char *value)
{
    l7s_key_add(key, spec->parts[i], name_of(tuples, spec, i), value,
                value != NULL ? strlen(value) : 0);
}

/* Returns the state of the spec. What may be absent and is counts by client, marked
 * absent, unless the policy says otherwise. */
static uint8_t encode(l7s_key_t *key, const l7s_tuples_t *tuples, const l7s_spec_t *spec)
{
    uint8_t state = L7S_TUPLE_KNOWN;
    bool absent = false;
    l7s_cidr_t cidr;

    l7s_key_begin(key);
    for (unsigned i = 0; i < spec->part_count; i++) {
        const char *value;
        if (spec->parts[i] == L7S_PART_CLIENT || spec->parts[i] == L7S_PART_NETWORK) {
            cidr = spec->parts[i] == L7S_PART_CLIENT ? client_of(tuples)
                                                     : network_of(tuples, spec);
            l7s_key_add_cidr(key, spec->parts[i], &cidr);
            state |= L7S_TUPLE_HAS_CLIENT;
            continue;
        }
        value = value_of(tuples, spec, i);
        absent |= value == NULL && l7s_part_may_lack(spec->parts[i]);
        add_string(key, tuples, spec, i, value);
    }
    if (absent && spec->when_absent == L7S_ABSENT_SKIP) {
        return L7S_TUPLE_KNOWN | L7S_TUPLE_SKIPPED;
    }
    if (absent && spec->when_absent == L7S_ABSENT_CLIENT) {
        cidr = client_of(tuples);
        l7s_key_add_cidr(key, L7S_PART_CLIENT, &cidr);
        state |= L7S_TUPLE_HAS_CLIENT;
    }
    return state;
}

/* Apart, because of its 4.5 KB of stack. */
static __attribute__((noinline)) void digest_any(l7s_tuples_t *tuples, uint32_t index)
{
    l7s_key_t key;

    tuples->states[index] = encode(&key, tuples, spec_at(tuples, index));
    if ((tuples->states[index] & L7S_TUPLE_SKIPPED) == 0) {
        tuples->digests[index] = l7s_key_digest(&tuples->matcher->image->count_key, &key);
    }
}

static void compute_client(l7s_tuples_t *tuples)
{
    l7s_cidr_t client = client_of(tuples);
    l7s_memo_t *memo = tuples->matcher->request->memo;
    l7s_hash128_t digest = digest_cidr(tuples, L7S_PART_CLIENT, &client);

    l7s_tuples_learn_client(tuples, digest);
    if (memo != NULL) {
        memo->digest = digest;
        memo->has_digest = true;
    }
}

void l7s_tuples_compute(l7s_tuples_t *tuples, uint32_t index)
{
    const l7s_spec_t *spec = spec_at(tuples, index);
    l7s_cidr_t cidr;

    if (index == L7S_SPEC_CLIENT) {
        compute_client(tuples);
    } else if (address_of(tuples, spec, &cidr)) {
        tuples->states[index] = L7S_TUPLE_KNOWN | L7S_TUPLE_HAS_CLIENT;
        tuples->digests[index] = digest_cidr(tuples, spec->parts[0], &cidr);
    } else {
        digest_any(tuples, index);
    }
}

bool l7s_tuples_ban_network(const l7s_tuples_t *tuples, uint32_t spec, l7s_cidr_t *out)
{
    return address_of(tuples, spec_at(tuples, spec), out) &&
           (out->prefix < 128 || l7s_addr_is_v4(&out->base));
}

/* --- text --- */

#define VALUE_MAX 80
#define NAME_MAX_SHOWN 56
#define HASH_MARK "h:"

/* Text under construction; once something did not fit, nothing more is added. */
typedef struct {
    char *out;
    size_t size;
    bool json, full;
} writer_t;

static bool is_secret(l7s_part_t part, const char *header)
{
    static const char *const harmless[] = {
        "accept", "accept-encoding", "accept-language", "content-type",
        "host",   "referer",         "user-agent",
    };

    if (part != L7S_PART_HEADER) {
        return part == L7S_PART_COOKIE;
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        if (strcmp(header, harmless[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void write_hash(const l7s_tuples_t *tuples, const char *value, char *out,
                       size_t capacity)
{
    l7s_hash128_t hash =
        l7s_siphash128(&tuples->matcher->image->count_key, value, strlen(value));
    char text[L7S_HASH128_TEXT];

    l7s_hash128_text(hash, text);
    snprintf(out, capacity, HASH_MARK "%s", text);
}

/* Printable and without what JSON or a log would have to escape. False: it is too long.
 */
static bool write_plain(const char *value, char out[VALUE_MAX])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;

    for (; *value != '\0'; value++) {
        unsigned char byte = (unsigned char)*value;
        if (size + 4 > VALUE_MAX) {
            return false;
        }
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            out[size++] = (char)byte;
        } else {
            out[size++] = '%';
            out[size++] = digits[byte >> 4];
            out[size++] = digits[byte & 15];
        }
    }
    out[size] = '\0';
    return true;
}

static void append(writer_t *writer, const char *text, size_t most)
{
    size_t length = strlen(text);

    length = length < most ? length : most;

    if (length > L7S_TUPLE_TEXT_MAX - 2 - writer->size) { /* 2: the brace and the NUL */
        writer->full = true;
        return;
    }
    memcpy(writer->out + writer->size, text, length);
    writer->size += length;
}

static void append_value(writer_t *writer, const char *value)
{
    const char *quote = writer->json ? "\"" : "";

    if (value == NULL) {
        append(writer, writer->json ? "null" : "-", 4);
        return;
    }
    append(writer, quote, 1);
    append(writer, value, VALUE_MAX);
    append(writer, quote, 1);
}

/* "name=value" or "\"name\":\"value\"", as a whole or not at all. */
static void add_part(writer_t *writer, const char *part, const char *name,
                     const char *value)
{
    size_t before = writer->size;

    if (writer->full) {
        return;
    }
    append(writer, writer->size <= writer->json ? "" : ",", 1);
    append(writer, writer->json ? "\"" : "", 1);
    append(writer, part, VALUE_MAX);
    if (name != NULL) {
        append(writer, ":", 1);
        append(writer, name, NAME_MAX_SHOWN);
    }
    append(writer, writer->json ? "\":" : "=", 2);
    append_value(writer, value);
    if (writer->full) {
        writer->size = before;
    }
}

static void add_address(writer_t *writer, l7s_part_t part, const l7s_cidr_t *cidr)
{
    char text[L7S_CIDR_TEXT];

    l7s_cidr_text(cidr, text);
    add_part(writer, l7s_part_name(part), NULL, text);
}

static void add_value(writer_t *writer, const l7s_tuples_t *tuples,
                      const l7s_spec_t *spec, unsigned i)
{
    const char *name = name_of(tuples, spec, i);
    const char *value = value_of(tuples, spec, i);
    char text[VALUE_MAX];

    if (value != NULL && (is_secret(spec->parts[i], name) || !write_plain(value, text))) {
        write_hash(tuples, value, text, sizeof text);
    }
    add_part(writer, l7s_part_name(spec->parts[i]), name, value != NULL ? text : NULL);
}

static void write_tuple(const l7s_tuples_t *tuples, uint32_t index, writer_t *writer)
{
    const l7s_spec_t *spec = spec_at(tuples, index);
    bool absent = false, by_client = false;
    l7s_cidr_t cidr;

    for (unsigned i = 0; i < spec->part_count; i++) {
        if (spec->parts[i] == L7S_PART_CLIENT || spec->parts[i] == L7S_PART_NETWORK) {
            by_client |= spec->parts[i] == L7S_PART_CLIENT;
            cidr = spec->parts[i] == L7S_PART_CLIENT ? client_of(tuples)
                                                     : network_of(tuples, spec);
            add_address(writer, spec->parts[i], &cidr);
        } else {
            absent |=
                l7s_part_may_lack(spec->parts[i]) && value_of(tuples, spec, i) == NULL;
            add_value(writer, tuples, spec, i);
        }
    }
    if (absent && !by_client && spec->when_absent == L7S_ABSENT_CLIENT) {
        cidr = client_of(tuples);
        add_address(writer, L7S_PART_CLIENT, &cidr);
    }
}

void l7s_tuples_text(const l7s_tuples_t *tuples, uint32_t spec,
                     char out[L7S_TUPLE_TEXT_MAX])
{
    writer_t writer = {.out = out};

    out[0] = '\0';
    write_tuple(tuples, spec, &writer);
    out[writer.size] = '\0';
}

void l7s_tuples_json(const l7s_tuples_t *tuples, uint32_t spec,
                     char out[L7S_TUPLE_TEXT_MAX])
{
    writer_t writer = {.out = out, .size = 1, .json = true};

    out[0] = '{';
    write_tuple(tuples, spec, &writer);
    out[writer.size] = '}';
    out[writer.size + 1] = '\0';
}
