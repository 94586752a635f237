/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client brings back: a cookie header, a seed, a nonce and a target, one a line.
 * Nothing but a token that was written here holds, and no target leaves the site.
 */
#include "../../core/decide/challenge.h"
#include "input.h"

#define NOW 1767225600ULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    l7s_bond_t bond = {.key = {size, 1}, .policy = "gate", .agent = "agent"};
    char *cookies = fuzz_line(&input), *seed = fuzz_line(&input),
         *nonce = fuzz_line(&input), *target = fuzz_line(&input);
    char pass[L7S_TOKEN_MAX], *with;

    fuzz_must(!l7s_pass_in_cookies(&bond, NOW, cookies), "a forged pass");
    fuzz_must(!l7s_seed_is_solved(&bond, NOW, 8, seed, nonce), "a forged seed");
    if (l7s_challenge_target(target)) {
        fuzz_must(target[0] == '/' && target[1] != '/' &&
                      strpbrk(target, "\\\r\n\t") == NULL,
                  "a path of this site");
    }
    /* Whatever stands behind it, a pass is found. */
    l7s_pass_write(&bond, NOW, 60, pass);
    with = malloc(strlen(cookies) + sizeof pass + 20);
    fuzz_must(with != NULL, "memory");
    sprintf(with, "l7shield-gate=%s;%s", pass, cookies);
    fuzz_must(l7s_pass_in_cookies(&bond, NOW, with), "the pass in front");
    free(with);
    free(cookies);
    free(seed);
    free(nonce);
    free(target);
    return 0;
}
