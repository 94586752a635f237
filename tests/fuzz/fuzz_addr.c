/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses, networks and the ids of address bans as text, one a line: what is accepted
 * has one spelling that is accepted again, and a set of networks contains what one of
 * them contains.
 */
#include "../../core/image/cidrset.h"
#include "../../core/segment/ban_id.h"
#include "input.h"

#define LINES 32

static bool same_cidr(const l7s_cidr_t *a, const l7s_cidr_t *b)
{
    return a->prefix == b->prefix && memcmp(&a->base, &b->base, sizeof a->base) == 0;
}

static bool read_addr(const char *line, l7s_addr_t *addr)
{
    char text[L7S_ADDR_TEXT];
    l7s_addr_t again;
    if (!l7s_addr_parse(line, addr)) {
        return false;
    }
    l7s_addr_text(addr, text);
    fuzz_must(l7s_addr_parse(text, &again) && memcmp(addr, &again, sizeof again) == 0,
              "an address is read as it was written");
    l7s_cidr_t client = l7s_addr_client(addr);
    fuzz_must(l7s_cidr_contains(&client, addr), "a client contains its address");
    return true;
}

static bool read_cidr(const char *line, l7s_cidr_t *cidr)
{
    char text[L7S_CIDR_TEXT], id[L7S_BAN_ID_MAX];
    l7s_cidr_t again;
    l7s_status_t status = l7s_cidr_parse(line, cidr);
    if (status != L7S_OK && status != L7S_CONFLICT) {
        fuzz_must(status == L7S_INVALID, "it is one or is not");
        return false;
    }
    l7s_cidr_text(cidr, text);
    fuzz_must(l7s_cidr_parse(text, &again) == L7S_OK && same_cidr(cidr, &again),
              "a network is read as it was written");
    fuzz_must(l7s_cidr_contains(cidr, &cidr->base), "a network contains its base");
    l7s_ban_id(cidr, id);
    fuzz_must(l7s_ban_id_parse(id, &again) == L7S_OK && same_cidr(cidr, &again),
              "an id is read as it was written");
    return true;
}

static void check_id(const char *line)
{
    char id[L7S_BAN_ID_MAX];
    l7s_cidr_t cidr;
    if (l7s_ban_id_parse(line, &cidr) == L7S_OK) {
        l7s_ban_id(&cidr, id);
        fuzz_must(strcmp(id, line) == 0, "an id has one spelling");
    }
}

static void check_set(l7s_cidr_t *cidrs, size_t count, const l7s_addr_t *addrs,
                      size_t addr_count)
{
    l7s_addr_range_t ranges[LINES];
    bool expected[LINES] = {false};
    for (size_t i = 0; i < addr_count; i++) {
        for (size_t k = 0; k < count; k++) {
            expected[i] = expected[i] || l7s_cidr_contains(&cidrs[k], &addrs[i]);
        }
    }
    size_t range_count = l7s_cidrset_build(cidrs, count, ranges);
    fuzz_must(range_count <= count, "a set is no larger than what it is made of");
    for (size_t i = 0; i < addr_count; i++) {
        fuzz_must(l7s_cidrset_contains(ranges, range_count, &addrs[i]) == expected[i],
                  "a set contains what one of its networks contains");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    l7s_addr_t addrs[LINES];
    l7s_cidr_t cidrs[LINES];
    size_t addr_count = 0, cidr_count = 0;
    for (unsigned i = 0; i < LINES && input.left > 0; i++) {
        char *line = fuzz_line(&input);
        addr_count += read_addr(line, &addrs[addr_count]) ? 1 : 0;
        cidr_count += read_cidr(line, &cidrs[cidr_count]) ? 1 : 0;
        check_id(line);
        free(line);
    }
    check_set(cidrs, cidr_count, addrs, addr_count);
    return 0;
}
