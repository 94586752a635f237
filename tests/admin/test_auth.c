/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is let in, from where, for how long, and how many mistakes a client may make.
 */
#include "../../admin_api/http/auth.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "../../admin_api/http/token_text.h"
#include "../../admin_api/store/store_objects.h"
#include "stored.h"
#include <string.h>

#define NOW_MS 1700000000000u

typedef struct {
    stored_t *stored;
    admin_sessions_t *sessions;
    admin_auth_t *auth;
    admin_token_t token;
    char text[ADMIN_TOKEN_TEXT];
} world_t;

static void store_token(world_t *world)
{
    admin_store_t *store = world->stored->store;
    assert_int_equal(admin_store_begin(store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_token_put(store, &world->token), L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_CONFIG_DB), L7S_OK);
}

static int setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    void *stored = NULL;
    if (stored_setup(&stored) != 0) {
        return -1;
    }
    world->stored = stored;
    world->token = (admin_token_t){.name = "ci",
                                   .role = ADMIN_EDITOR,
                                   .created_ms = NOW_MS,
                                   .rotated_ms = NOW_MS,
                                   .spec = json_pack("{s:s}", "role", "editor")};
    if (admin_token_mint(world->text, world->token.id, world->token.hash) != L7S_OK ||
        admin_sessions_create(&world->sessions) != L7S_OK ||
        admin_auth_create(world->stored->store, world->sessions, &world->auth) !=
            L7S_OK) {
        return -1;
    }
    store_token(world);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_t *world = *state;
    void *stored = world->stored;
    admin_auth_free(world->auth);
    admin_sessions_free(world->sessions);
    json_decref(world->token.spec);
    free(world);
    return stored_teardown(&stored);
}

/* The answer to this Authorization header from 2001:db8:0:`subnet`::`host`. */
static admin_auth_result_t ask(world_t *world, const char *header, uint8_t subnet,
                               uint8_t host, uint64_t now_ms)
{
    uint8_t peer[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, subnet, [15] = host};
    admin_identity_t identity;
    admin_auth_result_t result =
        admin_auth_token(world->auth, header, peer, now_ms, &identity);
    admin_identity_clear(&identity);
    return result;
}

static const char *bearer(const world_t *world)
{
    static char header[ADMIN_TOKEN_TEXT + 8];
    snprintf(header, sizeof header, "Bearer %s", world->text);
    return header;
}

static void test_auth_token_valid_one_is_known_by_name_and_id(void **state)
{
    world_t *world = *state;
    admin_identity_t identity;
    assert_int_equal(
        admin_auth_token(world->auth, bearer(world), NULL, NOW_MS, &identity),
        ADMIN_AUTH_OK);
    assert_string_equal(identity.principal, "token:ci");
    assert_string_equal(identity.token_id, world->token.id);
    assert_int_equal(identity.role, ADMIN_EDITOR);
    assert_null(identity.bounds);
    admin_identity_clear(&identity);
}

static void test_auth_token_whatever_is_none_is_wrong(void **state)
{
    world_t *world = *state;
    char other[ADMIN_TOKEN_TEXT], id[ADMIN_TOKEN_ID], header[ADMIN_TOKEN_TEXT + 8];
    uint8_t hash[32];
    assert_int_equal(admin_token_mint(other, id, hash), L7S_OK);
    snprintf(header, sizeof header, "Bearer %s", other);
    assert_int_equal(ask(world, header, 0, 1, NOW_MS), ADMIN_AUTH_WRONG);
    assert_int_equal(ask(world, world->text, 0, 1, NOW_MS), ADMIN_AUTH_WRONG);
    assert_int_equal(ask(world, "Bearer", 0, 1, NOW_MS), ADMIN_AUTH_WRONG);
    assert_int_equal(ask(world, "", 0, 1, NOW_MS), ADMIN_AUTH_WRONG);
    assert_int_equal(ask(world, NULL, 0, 1, NOW_MS), ADMIN_AUTH_MISSING);
}

static void test_auth_token_ends_when_it_expires(void **state)
{
    world_t *world = *state;
    world->token.expires_ms = NOW_MS + 1000;
    store_token(world);
    assert_int_equal(ask(world, bearer(world), 0, 1, NOW_MS + 999), ADMIN_AUTH_OK);
    assert_int_equal(ask(world, bearer(world), 0, 1, NOW_MS + 1000), ADMIN_AUTH_WRONG);
}

static void test_auth_token_old_secret_holds_during_the_overlap_only(void **state)
{
    world_t *world = *state;
    char fresh[ADMIN_TOKEN_TEXT];
    memcpy(world->token.old_id, world->token.id, sizeof world->token.old_id);
    memcpy(world->token.old_hash, world->token.hash, sizeof world->token.old_hash);
    world->token.old_until_ms = NOW_MS + 1000;
    assert_int_equal(admin_token_mint(fresh, world->token.id, world->token.hash), L7S_OK);
    store_token(world);
    assert_int_equal(ask(world, bearer(world), 0, 1, NOW_MS + 999), ADMIN_AUTH_OK);
    assert_int_equal(ask(world, bearer(world), 0, 1, NOW_MS + 1000), ADMIN_AUTH_WRONG);
    memcpy(world->text, fresh, sizeof fresh);
    assert_int_equal(ask(world, bearer(world), 0, 1, NOW_MS + 1000), ADMIN_AUTH_OK);
}

static void test_auth_token_of_other_addresses_is_told_so(void **state)
{
    world_t *world = *state;
    json_decref(world->token.spec);
    world->token.spec =
        json_pack("{s:s, s:[s]}", "role", "editor", "addresses", "2001:db8:0:7::/64");
    store_token(world);
    assert_int_equal(ask(world, bearer(world), 7, 1, NOW_MS), ADMIN_AUTH_OK);
    assert_int_equal(ask(world, bearer(world), 8, 1, NOW_MS), ADMIN_AUTH_ELSEWHERE);
}

static void test_auth_token_failures_are_limited_per_64_and_valid_ones_pass(void **state)
{
    world_t *world = *state;
    for (uint8_t i = 0; i < 10; i++) {
        assert_int_equal(ask(world, "Bearer x", 1, i, NOW_MS), ADMIN_AUTH_WRONG);
    }
    assert_int_equal(ask(world, "Bearer x", 1, 99, NOW_MS), ADMIN_AUTH_LIMITED);
    assert_int_equal(ask(world, bearer(world), 1, 99, NOW_MS), ADMIN_AUTH_OK);
    assert_int_equal(ask(world, NULL, 1, 99, NOW_MS), ADMIN_AUTH_MISSING);
    assert_int_equal(ask(world, "Bearer x", 1, 99, NOW_MS + 6000), ADMIN_AUTH_WRONG);
    assert_int_equal(ask(world, "Bearer x", 1, 99, NOW_MS + 6000), ADMIN_AUTH_LIMITED);
    /* A clock that was set back locks nobody out. */
    assert_int_equal(ask(world, "Bearer x", 1, 99, NOW_MS - 3600000), ADMIN_AUTH_WRONG);
}

static void test_auth_session_lives_and_dies_with_its_token(void **state)
{
    world_t *world = *state;
    char secret[ADMIN_SESSION_SECRET];
    admin_session_t session;
    admin_identity_t identity;
    assert_int_equal(
        admin_session_begin(world->sessions, world->token.id, NOW_MS, secret, &session),
        L7S_OK);
    assert_int_equal(admin_auth_session(world->auth, secret, NULL, NOW_MS, &identity),
                     ADMIN_AUTH_OK);
    assert_string_equal(identity.session.id, session.id);
    admin_identity_clear(&identity);
    world->token.expires_ms = NOW_MS + 1;
    store_token(world);
    assert_int_equal(admin_auth_session(world->auth, secret, NULL, NOW_MS + 1, &identity),
                     ADMIN_AUTH_WRONG);
    /* Gone for good, whatever becomes of the token. */
    world->token.expires_ms = 0;
    store_token(world);
    assert_int_equal(admin_auth_session(world->auth, secret, NULL, NOW_MS + 2, &identity),
                     ADMIN_AUTH_WRONG);
    admin_identity_clear(&identity);
}

static void test_role_allows_ladder_and_what_stands_beside(void **state)
{
    (void)state;
    static const struct {
        admin_role_t role, needed;
        bool allowed;
    } cases[] = {
        {ADMIN_ADMIN, ADMIN_EDITOR, true},    {ADMIN_EDITOR, ADMIN_ADMIN, false},
        {ADMIN_VIEWER, ADMIN_METRICS, true},  {ADMIN_METRICS, ADMIN_VIEWER, false},
        {ADMIN_METRICS, ADMIN_METRICS, true}, {ADMIN_AUDITOR, ADMIN_AUDITOR, true},
        {ADMIN_ADMIN, ADMIN_AUDITOR, true},   {ADMIN_EDITOR, ADMIN_AUDITOR, false},
        {ADMIN_AUDITOR, ADMIN_VIEWER, false}, {ADMIN_AUDITOR, ADMIN_METRICS, false},
        {ADMIN_NOBODY, ADMIN_METRICS, false}, {ADMIN_METRICS, ADMIN_AUDITOR, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admin_role_allows(cases[i].role, cases[i].needed),
                         cases[i].allowed);
    }
    admin_role_t role;
    for (int i = ADMIN_METRICS; i <= ADMIN_AUDITOR; i++) {
        assert_true(admin_role_parse(admin_role_name((admin_role_t)i), &role));
        assert_int_equal(role, i);
    }
    assert_false(admin_role_parse("nobody", &role));
    assert_false(admin_role_parse("king", &role));
}

#define auth_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        auth_test(test_auth_token_valid_one_is_known_by_name_and_id),
        auth_test(test_auth_token_whatever_is_none_is_wrong),
        auth_test(test_auth_token_ends_when_it_expires),
        auth_test(test_auth_token_old_secret_holds_during_the_overlap_only),
        auth_test(test_auth_token_of_other_addresses_is_told_so),
        auth_test(test_auth_token_failures_are_limited_per_64_and_valid_ones_pass),
        auth_test(test_auth_session_lives_and_dies_with_its_token),
        cmocka_unit_test(test_role_allows_ladder_and_what_stands_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
