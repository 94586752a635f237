/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals from two texts, one a line, as headers of one answer: whatever is read is well
 * formed, said once, and reads the same when it is written down again.
 */
#include "../../core/signals.h"
#include "input.h"

static const char *const NAME = "abcdefghijklmnopqrstuvwxyz0123456789-";

static void check(const l7s_signals_t *signals)
{
    l7s_signals_t again = {0};
    char text[L7S_SIGNALS_MAX * (L7S_SIGNAL_NAME_MAX + L7S_SIGNAL_DETAIL_MAX + 16)] = "";

    fuzz_must(signals->count <= L7S_SIGNALS_MAX, "bounded");
    for (size_t i = 0; i < signals->count; i++) {
        const l7s_signal_t *one = &signals->items[i];
        size_t length = strlen(one->name), size = strlen(text);
        fuzz_must(length > 0 && strspn(one->name, NAME) == length, "a name");
        fuzz_must(strpbrk(one->detail, ",; \t\"") == NULL, "a token");
        snprintf(text + size, sizeof text - size, "%s%s%s,", one->name,
                 one->detail[0] != '\0' ? ";detail=" : "", one->detail);
    }
    l7s_signals_read(&again, text);
    fuzz_must(again.count == signals->count, "the same again");
    for (size_t i = 0; i < again.count; i++) {
        fuzz_must(strcmp(again.items[i].name, signals->items[i].name) == 0 &&
                      strcmp(again.items[i].detail, signals->items[i].detail) == 0,
                  "the same again");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    l7s_signals_t signals = {0};

    for (unsigned i = 0; i < 2; i++) {
        char *text = fuzz_line(&input);
        l7s_signals_read(&signals, text);
        free(text);
    }
    check(&signals);
    return 0;
}
