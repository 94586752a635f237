/* SPDX-License-Identifier: Apache-2.0
 *
 * The validator: the first byte chooses a schema of the contract, the rest is the
 * document. Whatever it is, the verdict does not depend on who listens, every refusal
 * says where and why in valid UTF-8, and what is valid has nothing against it.
 */
#include "../../core/json/config.h"
#include "../../core/schema/schema.h"
#include "../../core/schema/utf8.h"
#include "input.h"

static const char *names[256];
static size_t count;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    const char *name;
    json_t *schema;
    json_object_foreach(
        json_object_get(json_object_get(l7s_openapi(), "components"), "schemas"), name,
        schema)
    {
        if (count < 256) {
            names[count++] = name;
        }
    }
    return 0;
}

static void check_text(const char *text)
{
    while (*text != '\0') {
        size_t size = l7s_utf8_sequence(text);
        fuzz_must(size > 0, "what is told is UTF-8");
        text += size;
    }
}

static void check(const l7s_schema_t *schema, const json_t *document)
{
    static l7s_problems_t problems;
    problems.count = problems.dropped = 0;
    bool valid = l7s_schema_validate(schema, document, &problems) == L7S_OK;
    fuzz_must(valid == (l7s_schema_validate(schema, document, NULL) == L7S_OK),
              "the verdict is the same whoever listens");
    fuzz_must(valid == (problems.count == 0),
              "a refusal says why, and nothing else does");
    for (size_t i = 0; i < problems.count; i++) {
        const l7s_problem_t *problem = &problems.items[i];
        fuzz_must(problem->pointer[0] == '\0' || problem->pointer[0] == '/', "a pointer");
        fuzz_must(problem->code[0] != '\0' && problem->message[0] != '\0', "a reason");
        check_text(problem->message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = fuzz_copy(data + 1, size - 1);
    json_t *document = l7s_json_read(text, size - 1, NULL);
    const l7s_schema_t *schema = l7s_openapi_schema(names[data[0] % count]);
    fuzz_must(schema != NULL, "every schema of the contract compiles");
    if (document != NULL) {
        check(schema, document);
    }
    json_decref(document);
    free(text);
    return 0;
}
