/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks behind a manifest: compressed bytes whose hash is right and whose content is
 * not. What inflates is exactly as long as the manifest promised.
 */
#include "../../core/bus/manifest.h"
#include "input.h"

#define CHUNKS 3

typedef struct {
    char hash[CHUNKS][L7S_SHA256_TEXT];
    const uint8_t *data[CHUNKS];
    size_t size[CHUNKS];
} chunks_t;

static void *fetch(void *context, const char *hash, size_t *size)
{
    const chunks_t *chunks = context;
    for (unsigned i = 0; i < CHUNKS; i++) {
        if (strcmp(chunks->hash[i], hash) == 0) {
            *size = chunks->size[i];
            return fuzz_copy(chunks->data[i], chunks->size[i]);
        }
    }
    return NULL;
}

static void cut(fuzz_input_t *input, uint32_t at, chunks_t *chunks)
{
    size_t first = input->left > 0 ? at % (input->left + 1) : 0;
    size_t second = (input->left - first) / 2;
    const size_t ends[CHUNKS + 1] = {0, first, first + second, input->left};
    for (unsigned i = 0; i < CHUNKS; i++) {
        chunks->data[i] = input->at + ends[i];
        chunks->size[i] = ends[i + 1] - ends[i];
        l7s_sha256_text(chunks->data[i], chunks->size[i], chunks->hash[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    uint32_t promised = fuzz_number(&input, 2), at = fuzz_number(&input, 2);
    bool whole = at % 2 == 0; /* more chunks than the size needs are refused early */
    chunks_t chunks;
    json_t *part, *hashes = json_array();
    char *text = NULL;
    cut(&input, whole ? (uint32_t)input.left : at, &chunks);
    for (unsigned i = 0; i < (whole ? 1 : CHUNKS); i++) {
        json_array_append_new(hashes, json_string(chunks.hash[i]));
    }
    part = json_pack("{s:s, s:i, s:o}", "name", "bans", "size", (int)promised, "chunks",
                     hashes);
    if (l7s_manifest_part(part, fetch, &chunks, &text, &size) == L7S_OK) {
        fuzz_must(size == promised && text[size] == '\0', "as long as promised");
    }
    free(text);
    json_decref(part);
    return 0;
}
