/* SPDX-License-Identifier: Apache-2.0
 *
 * Cursors and limits of pages: a client may send anything as a cursor; what is taken for
 * one is the key of an item, and a page that ends there gives the same cursor back.
 */
#include "../../admin_api/http/page.h"
#include "query.h"

/* A page of one item with this key, and one more: its next_cursor. */
static void check_round_trip(fuzz_query_t *query, const char *key)
{
    admin_page_t page;
    char limit[] = "limit\0001";
    fuzz_query_t one = {.count = 1, .lines = {limit}};
    one.call = query->call;
    one.call.server = &one;
    fuzz_must(admin_page_begin(&one.call, &page), "a limit of one");
    fuzz_must(admin_page_add(&page, key, json_integer(1)), "there is room for one");
    fuzz_must(!admin_page_add(&page, "z", json_integer(2)), "and for one only");
    admin_page_reply(&page, L7S_OK);
    const char *next = json_string_value(json_object_get(one.call.reply, "next_cursor"));
    fuzz_must(next != NULL && strcmp(next, fuzz_query_get(&query->call, "cursor")) == 0,
              "the cursor of a key is the one it came from");
    json_decref(one.call.reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    fuzz_query_t query;
    admin_page_t page;
    fuzz_query_begin(&query, &input);
    if (admin_page_begin(&query.call, &page)) {
        fuzz_must(query.call.code == NULL, "no problem with a page");
        fuzz_must(page.limit >= 1 && page.limit <= 1000, "a limit in its bounds");
        fuzz_must(strlen(page.after) < sizeof page.after, "a key that ends");
        if (page.after[0] != '\0') {
            check_round_trip(&query, page.after);
        }
        admin_page_clear(&page);
    } else {
        fuzz_must(query.call.status == 400 && query.call.detail[0] != '\0', "a reason");
    }
    fuzz_query_end(&query);
    return 0;
}
