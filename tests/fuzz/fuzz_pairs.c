/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries and Cookie headers: whatever a client writes, values stand in the buffer with
 * their end, and none is longer than what was written.
 */
#include "../../core/pairs.h"
#include "input.h"

static l7s_pairs_t pairs;

/* Every name with an even number of characters, by its first one. */
static uint32_t wanted(const void *context, const char *name)
{
    (void)context;
    fuzz_must(strlen(name) <= L7S_PAIRS_BYTES, "a name ends");
    return strlen(name) % 2 == 0 ? (uint8_t)name[0] : L7S_PAIRS_UNWANTED;
}

static void check(size_t size)
{
    size_t total = 0;
    fuzz_must(pairs.count <= L7S_PAIRS_MAX, "pairs are bounded");
    fuzz_must(pairs.used <= sizeof pairs.text, "values are bounded");
    for (uint32_t name = 0; name < 256; name++) {
        uint32_t at = 0;
        const char *value = l7s_pairs_next(&pairs, name, &at);
        for (; value != NULL; value = l7s_pairs_next(&pairs, name, &at)) {
            fuzz_must(value >= pairs.text && value < pairs.text + pairs.used, "within");
            total += strlen(value) + 1;
        }
    }
    fuzz_must(total == pairs.used && total <= size + 1, "no value grows");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    fuzz_must(text != NULL, "memory");
    memcpy(text, data, size);
    text[size] = '\0';
    l7s_pairs_read_query(&pairs, text, wanted, NULL);
    check(size);
    l7s_pairs_read_cookies(&pairs, text, wanted, NULL);
    check(size);
    free(text);
    return 0;
}
