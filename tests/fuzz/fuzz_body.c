/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of requests: what is read is JSON that means the same when it is written and
 * read again, what is not read has one reason in plain text, and depth is bounded.
 */
#include "../../core/json/config.h"
#include "../../core/schema/schema.h"
#include "input.h"

enum { DEPTH_MAX = 32 };

static unsigned depth_of(const json_t *value)
{
    unsigned deepest = 0;
    const char *name;
    json_t *item;
    size_t index;
    json_object_foreach((json_t *)value, name, item)
    {
        unsigned depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, index, item)
    {
        unsigned depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value) ? 1 : 0);
}

static void check_read(json_t *value)
{
    l7s_problems_t problems = {.count = 0};
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    fuzz_must(text != NULL, "what was read can be written");
    json_t *again = l7s_json_read(text, strlen(text), &problems);
    fuzz_must(again != NULL && l7s_json_equal(value, again), "it is read as it was");
    fuzz_must(depth_of(value) <= DEPTH_MAX, "depth is bounded");
    json_decref(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    l7s_problems_t problems = {.count = 0};
    char *text = fuzz_copy(data, size);
    json_t *value = l7s_json_read(text, size, &problems);
    if (value != NULL) {
        fuzz_must(problems.count == 0, "nothing is wrong with what is read");
        check_read(value);
    } else {
        fuzz_must(problems.count == 1, "a refusal has one reason");
        for (const char *c = problems.items[0].message; *c != '\0'; c++) {
            fuzz_must(*c >= ' ' && *c < 0x7f, "the reason is plain text");
        }
    }
    json_decref(value);
    free(text);
    return 0;
}
