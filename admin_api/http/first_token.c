/* SPDX-License-Identifier: Apache-2.0
 *
 * Making the first token (first_token.h).
 */
#include "first_token.h"
#include "../log.h"
#include "../store/store_objects.h"
#include "token_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Written beside its place and renamed: a reader never sees half a token. */
static bool write_secret_file(const char *path, const char *text)
{
    char temporary[512], line[ADMIN_TOKEN_TEXT + 1];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >=
        sizeof temporary) {
        errno = ENAMETOOLONG;
        return false;
    }
    int size = snprintf(line, sizeof line, "%s\n", text);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool good = write(fd, line, (size_t)size) == size && fsync(fd) == 0;
    good = close(fd) == 0 && good;
    return good && rename(temporary, path) == 0;
}

static bool note_any(void *context, const admin_token_t *token)
{
    (void)token;
    *(bool *)context = true;
    return false;
}

static l7s_status_t store_token(admin_store_t *store, const admin_token_t *token)
{
    l7s_status_t status = admin_store_begin(store, ADMIN_CONFIG_DB);
    if (status != L7S_OK) {
        return status;
    }
    return admin_store_end(store, ADMIN_CONFIG_DB, admin_token_put(store, token));
}

/* The file comes first: when the commit fails, the next start makes another token. */
l7s_status_t admin_first_token(admin_store_t *store, const char *token_file,
                               uint64_t now_ms, char why[256])
{
    bool any = false;
    snprintf(why, 256, "the store of tokens cannot be read or written");
    l7s_status_t status = admin_token_each(store, "", note_any, &any);
    if (status != L7S_OK || any) {
        return status;
    }
    admin_token_t token = {
        .name = "admin", .role = ADMIN_ADMIN, .created_ms = now_ms, .rotated_ms = now_ms};
    char text[ADMIN_TOKEN_TEXT];
    status = admin_token_mint(text, token.id, token.hash);
    if (status != L7S_OK) {
        return status;
    }
    if (!write_secret_file(token_file, text)) {
        snprintf(why, 256, "%.180s: %s", token_file, strerror(errno));
        return L7S_IO;
    }
    token.spec = json_pack("{s:s, s:s}", "name", "admin", "role", "admin");
    status = token.spec == NULL ? L7S_NO_MEMORY : store_token(store, &token);
    json_decref(token.spec);
    if (status == L7S_OK) {
        admin_log(ADMIN_INFO, "L7S3010", "wrote the first admin token to %s", token_file);
    }
    return status;
}
