/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of an access log: clients write most of them. Whatever stands there, texts lie in
 * the line and end there, and no escape makes one longer than what was written.
 */
#include "../../core/access_log/access_line.h"
#include "input.h"

static void check_text(const char *text, const char *line, size_t size)
{
    bool own = text >= line && text <= line + size;

    fuzz_must(text != NULL, "a text, if only an empty one");
    fuzz_must(!own || strlen(text) <= size - (size_t)(text - line),
              "it ends in the line");
    fuzz_must(own || strlen(text) <= 1, "what is not from the line says nothing");
}

static void read_line(l7s_access_memo_t *memo, unsigned format, char *line)
{
    size_t size = strlen(line);
    l7s_access_t access;
    l7s_line_result_t result =
        l7s_access_read((l7s_access_format_t)format, line, size, memo, &access);

    fuzz_must(result < L7S_LINE_LONG, "a result of its own");
    if (result != L7S_LINE_GOOD) {
        return;
    }
    const char *const texts[] = {access.host,       access.user,   access.method,
                                 access.referer,    access.target, access.action,
                                 access.user_agent, access.signals};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_text(texts[i], line, size);
    }
    fuzz_must(access.target[0] == '/', "a target begins with a slash");
    fuzz_must(access.status <= 999, "a status has three digits");
    fuzz_must(!(access.malformed && access.method[0] != '\0'), "malformed has no method");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    l7s_access_memo_t memo = {.text = ""};
    unsigned format = fuzz_number(&input, 1) % L7S_ACCESS_FORMATS;

    while (input.left > 0) {
        char *line = fuzz_line(&input);
        read_line(&memo, format, line);
        free(line);
    }
    return 0;
}
