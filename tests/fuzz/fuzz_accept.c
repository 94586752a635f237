/* SPDX-License-Identifier: Apache-2.0
 *
 * Accept headers: whatever they hold, the answer is one of the forms, it is the same for
 * the same header, and nothing behind the part that is read changes it.
 */
#include "../../core/accept.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    char *header = fuzz_line(&input);
    l7s_form_t form = l7s_accept_form(header);

    fuzz_must(form == L7S_FORM_TEXT || form == L7S_FORM_HTML || form == L7S_FORM_PROBLEM,
              "a form");
    fuzz_must(form != L7S_FORM_HTML || strpbrk(header, "*hHxX") != NULL,
              "HTML only where something names it");
    if (l7s_accept_names_html(header)) {
        fuzz_must(strchr(header, '/') != NULL, "a name has a slash");
    }
    if (strlen(header) > L7S_ACCEPT_BYTES_MAX) {
        header[L7S_ACCEPT_BYTES_MAX] = '\0';
        fuzz_must(l7s_accept_form(header) == form, "the end is not read");
    }
    free(header);
    return 0;
}
