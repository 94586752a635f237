/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations that somebody else wrote, all the way: JSON, schema, parser, compiler,
 * image, decisions. Takes a whole document, or one object as tests/core/data has them:
 * {"kind":…,"name":…,"document":…}.
 */
#include "../../core/json/config.h"
#include "../core/policy_fixture.h"
#include "input.h"

#define IMAGE_MAX ((size_t)1 << 20)
#define NOW_MS 1700000000000ULL

static fixture_t fixture;
static uint64_t memory[IMAGE_MAX / 8];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fixture_open(&fixture, 64);
    return 0;
}

static void decide(const l7s_image_t *image)
{
    static const char *const requests[][4] = {
        {"203.0.113.7", "GET", "www.example.com", "/"},
        {"10.1.2.3", "POST", "shop.example.com", "/api/v1/login"},
        {"2001:db8::7", "POST", "", "/login/"},
    };
    for (unsigned i = 0; i < 6; i++) {
        const char *const *r = requests[i % 3];
        fixture_request_t request = fixture_request(r[0], r[1], r[2], r[3]);
        request.headers[0] = "user-agent: curl/8";
        fixture.image = image;
        (void)fixture_decide(&fixture, &request);
    }
}

static void compile(const l7s_config_t *config)
{
    const l7s_hashkey_t count_key = {1, 2};
    uint64_t expiry;
    size_t size;
    l7s_status_t status =
        l7s_image_compile(config, &count_key, 1, NOW_MS, &fixture.shared.stats, memory,
                          sizeof memory, &size, &expiry);
    if (status != L7S_OK) {
        fuzz_must(status == L7S_TOO_BIG, "what is valid compiles, if it fits");
        return;
    }
    const l7s_image_t *image = fuzz_copy(memory, size);
    fuzz_must(l7s_image_check(image, size) == image, "what was compiled is an image");
    decide(image);
    free((void *)image);
}

static void check_config(const json_t *document)
{
    static l7s_problems_t problems;
    l7s_config_t *config = NULL;
    problems.count = problems.dropped = 0;
    if (l7s_config_parse(document, &problems, &config) == L7S_OK) {
        compile(config);
        l7s_config_free(config);
        return;
    }
    fuzz_must(config == NULL, "no configuration without its status");
    fuzz_must(problems.count > 0, "a refusal says why");
}

static void check_object(const char *kind, const json_t *document, const char *name)
{
    static l7s_problems_t problems;
    problems.count = problems.dropped = 0;
    if (l7s_object_check(kind, name, document, &problems) != L7S_OK) {
        fuzz_must(problems.count > 0, "a refusal says why");
        return;
    }
    if (strcmp(kind, "policy") == 0) {
        json_t *effective = l7s_policy_effective(document);
        fuzz_must(l7s_object_check(kind, name, effective, &problems) == L7S_OK,
                  "what is in effect is valid, too");
        json_decref(effective);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const kinds[] = {"policy", "list", "app", "response"};
    static l7s_problems_t problems;
    char *text = fuzz_copy(data, size);
    problems.count = problems.dropped = 0;
    json_t *input = l7s_json_read(text, size, &problems);
    const json_t *document = json_object_get(input, "document");
    const char *kind = json_string_value(json_object_get(input, "kind"));
    const char *name = json_string_value(json_object_get(input, "name"));
    for (unsigned i = 0; document != NULL && kind != NULL && i < 4; i++) {
        if (strcmp(kind, kinds[i]) == 0 && name != NULL) {
            check_object(kind, document, name);
        }
    }
    if (input != NULL) {
        check_config(document != NULL ? document : input);
    } else {
        fuzz_must(problems.count == 1, "a refusal says why");
    }
    json_decref(input);
    free(text);
    return 0;
}
