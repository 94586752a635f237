/* SPDX-License-Identifier: Apache-2.0
 *
 * A hostile memcached. However its bytes are cut, a stream is understood in one way only:
 * no prefix of a reply is a reply or refused, and what is refused stays refused.
 */
#include "../../mod_l7shield/sync/meta_reply.h"
#include "input.h"

static sync_reply_t parse(const char *bytes, size_t size, size_t *used,
                          sync_value_t *value)
{
    char *copy = fuzz_copy(bytes, size);
    sync_reply_t reply = sync_reply_parse(copy, size, used, value);
    free(copy);
    return reply;
}

static bool is_reply(sync_reply_t reply)
{
    return reply != SYNC_REPLY_MORE && reply != SYNC_REPLY_BAD;
}

/* Comes byte by byte what came at once? */
static void check_prefixes(const char *bytes, size_t size, sync_reply_t whole,
                           size_t used)
{
    size_t most = size < SYNC_REPLY_MAX + 1 ? size : SYNC_REPLY_MAX + 1;
    bool bad = false;
    for (size_t i = 0; i < (is_reply(whole) ? used : most); i++) {
        sync_value_t value;
        size_t ignored;
        sync_reply_t reply = parse(bytes, i, &ignored, &value);
        fuzz_must(!is_reply(reply), "a part of a reply is none");
        fuzz_must(!bad || reply == SYNC_REPLY_BAD, "what is bad stays bad");
        bad = reply == SYNC_REPLY_BAD;
    }
    fuzz_must(!bad || whole == SYNC_REPLY_BAD, "what is bad stays bad");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data;
    while (size > 0) {
        size_t used = 0;
        sync_value_t value;
        sync_reply_t reply = parse(at, size, &used, &value);
        check_prefixes(at, size, reply, used);
        fuzz_must(reply != SYNC_REPLY_MORE || size < SYNC_REPLY_MAX, "a reply is short");
        if (!is_reply(reply)) {
            break;
        }
        fuzz_must(used > 0 && used <= size && used <= SYNC_REPLY_MAX,
                  "used is in bounds");
        at += used;
        size -= used;
    }
    return 0;
}
