/* SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes. Bytes that we did not seal never open; what we sealed opens as it was, and
 * no longer with one byte changed, cut off, under another name or as another kind.
 */
#include "../../core/bus/item.h"
#include "input.h"
#include <unistd.h>

#define NOW 1700000000000ULL
#define NAME "l7s1abcdefghijklmnopqrstuv"

static l7s_trust_t *trust;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char folder[] = "/tmp/l7s_fuzz_XXXXXX", secret[64], public[64], signing[64];
    (void)argc;
    (void)argv;
    fuzz_must(mkdtemp(folder) != NULL, "a folder for keys");
    snprintf(secret, sizeof secret, "%s/secret", folder);
    snprintf(public, sizeof public, "%s/trust", folder);
    snprintf(signing, sizeof signing, "%s/signing", folder);
    fuzz_must(l7s_trust_create(secret, public, signing, NULL) == L7S_OK, "keys");
    fuzz_must(l7s_trust_load(secret, public, signing, NULL, &trust) == L7S_OK, "trust");
    unlink(secret);
    unlink(public);
    unlink(signing);
    rmdir(folder);
    return 0;
}

static bool opens(l7s_item_kind_t kind, const char *name, const void *bytes, size_t size,
                  l7s_item_t *item)
{
    l7s_status_t status = l7s_item_open(trust, kind, name, bytes, size, NOW, item);
    return status == L7S_OK || status == L7S_STALE;
}

static void check_forgery(l7s_item_kind_t kind, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = fuzz_copy(bytes, size);
    l7s_item_t item;
    fuzz_must(!opens(kind, NAME, copy, size, &item), "nobody else's item opens");
    for (size_t at = 0, extent; at < size; at += extent) {
        extent = l7s_item_extent(copy + at, size - at);
        fuzz_must(extent <= size - at, "an item lies inside its bytes");
        if (extent == 0) {
            break;
        }
        fuzz_must(!opens(kind, NAME, copy + at, extent, &item), "nor one of several");
    }
    free(copy);
}

static void check_damage(l7s_item_kind_t kind, uint8_t *sealed, size_t size, uint32_t at,
                         uint8_t change)
{
    l7s_item_t item;
    uint8_t *cut;
    sealed[at % size] ^= change;
    fuzz_must(!opens(kind, NAME, sealed, size, &item) || change == 0, "damage is seen");
    sealed[at % size] ^= change;
    cut = fuzz_copy(sealed, at % size);
    fuzz_must(!opens(kind, NAME, cut, at % size, &item), "a cut is seen");
    free(cut);
}

static void check_sealed(fuzz_input_t *input)
{
    l7s_item_kind_t kind = (l7s_item_kind_t)(fuzz_number(input, 1) % 10);
    l7s_item_kind_t other = (l7s_item_kind_t)(fuzz_number(input, 1) % 10);
    bool as_daemon = fuzz_number(input, 1) % 2 == 1;
    uint32_t at = fuzz_number(input, 2);
    uint8_t change = (uint8_t)fuzz_number(input, 1);
    void *sealed;
    size_t size;
    l7s_item_t item;
    if (l7s_item_seal(trust, kind, NAME, "web-1", as_daemon, input->at, input->left, NOW,
                      &sealed, &size) != L7S_OK) {
        return;
    }
    fuzz_must(opens(kind, NAME, sealed, size, &item), "what was sealed opens");
    fuzz_must(item.size == input->left &&
                  memcmp(item.payload, input->at, input->left) == 0 &&
                  strcmp(item.sender, "web-1") == 0,
              "as it was");
    fuzz_must(l7s_item_extent(sealed, size) == size, "an item ends where it ends");
    fuzz_must(other == kind || !opens(other, NAME, sealed, size, &item), "one kind only");
    fuzz_must(!opens(kind, NAME "x", sealed, size, &item), "under one name only");
    check_damage(kind, sealed, size, at, change);
    free(sealed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    uint32_t first = fuzz_number(&input, 1);
    if (first % 2 == 0) {
        check_forgery((l7s_item_kind_t)(first / 2 % 10), input.at, input.left);
    } else {
        check_sealed(&input);
    }
    return 0;
}
