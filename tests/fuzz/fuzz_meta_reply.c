/* SPDX-License-Identifier: Apache-2.0
 *
 * A hostile memcached, on the connections of the counters and of the strict policies.
 * However its bytes are cut, a stream is understood in one way only: no part of a reply
 * is a reply or refused, and what is refused stays refused.
 */
#include "../../core/bus/meta_reply.h"
#include "../../mod_l7shield/sync/strict_reply.h"
#include "input.h"

typedef enum { MORE, REPLY, BAD } answer_t;

/* One of the two parsers; *used is set for a REPLY. */
typedef struct {
    answer_t (*parse)(const char *bytes, size_t size, size_t *used);
    size_t longest;
} parser_t;

static answer_t parse_counter(const char *bytes, size_t size, size_t *used)
{
    sync_value_t value;
    sync_reply_t reply = sync_reply_parse(bytes, size, used, &value);
    return reply == SYNC_REPLY_MORE ? MORE : reply == SYNC_REPLY_BAD ? BAD : REPLY;
}

static answer_t parse_strict(const char *bytes, size_t size, size_t *used)
{
    sync_strict_reply_t reply;
    *used = sync_strict_reply_parse(bytes, size, &reply);
    fuzz_must((*used > 0) ==
                  (reply.kind != SYNC_STRICT_MORE && reply.kind != SYNC_STRICT_BAD),
              "a reply has a size");
    return reply.kind == SYNC_STRICT_MORE ? MORE : *used > 0 ? REPLY : BAD;
}

static answer_t parse(const parser_t *parser, const char *bytes, size_t size,
                      size_t *used)
{
    char *copy = fuzz_copy(bytes, size);
    answer_t answer = parser->parse(copy, size, used);
    free(copy);
    return answer;
}

/* Comes byte by byte what came at once? */
static void check_prefixes(const parser_t *parser, const char *bytes, size_t size,
                           answer_t whole, size_t used)
{
    size_t most = size < parser->longest + 1 ? size : parser->longest + 1;
    bool bad = false;
    for (size_t i = 0; i < (whole == REPLY ? used : most); i++) {
        size_t ignored;
        answer_t answer = parse(parser, bytes, i, &ignored);
        fuzz_must(answer != REPLY, "a part of a reply is none");
        fuzz_must(!bad || answer == BAD, "what is bad stays bad");
        bad = answer == BAD;
    }
    fuzz_must(!bad || whole == BAD, "what is bad stays bad");
}

static void check_stream(const parser_t *parser, const char *at, size_t size)
{
    while (size > 0) {
        size_t used = 0;
        answer_t answer = parse(parser, at, size, &used);
        check_prefixes(parser, at, size, answer, used);
        fuzz_must(answer != MORE || size < parser->longest, "a reply is short");
        if (answer != REPLY) {
            break;
        }
        fuzz_must(used > 0 && used <= size && used <= parser->longest, "in bounds");
        at += used;
        size -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const parser_t parsers[] = {{parse_counter, SYNC_REPLY_MAX},
                                       {parse_strict, SYNC_STRICT_REPLY_MAX}};
    check_stream(&parsers[0], (const char *)data, size);
    check_stream(&parsers[1], (const char *)data, size);
    return 0;
}
