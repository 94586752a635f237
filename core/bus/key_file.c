/* SPDX-License-Identifier: Apache-2.0
 *
 * See key_file.h. What was read or written is wiped from this file's own buffers; the
 * caller wipes `text`.
 */
#include "key_file.h"
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_MODE 0600
#define PUBLIC_MODE 0644

l7s_status_t l7s_key_explain(char why[256], l7s_status_t status, const char *format, ...)
{
    if (why) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, 256, format, args);
        va_end(args);
    }
    return status;
}

/* Refuses a file that people may read (or, for the public key, write) who must not: the
 * sentence names what mends it. `what` is "secret file", … */
static l7s_status_t check_mode(int fd, const char *what, const char *path,
                               l7s_key_file_t kind, char why[256])
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return l7s_key_explain(why, L7S_IO, "%s %s is not a regular file", what, path);
    }
    unsigned mode = (unsigned)(info.st_mode & 07777);
    bool secret = kind == L7S_KEY_SECRET;
    if ((mode & (secret ? 077U : 022U)) != 0) {
        return l7s_key_explain(
            why, L7S_UNTRUSTED,
            "%s %s has mode %04o: group or others may %s it; run: chmod %s %s", what,
            path, mode, secret ? "access" : "change", secret ? "600" : "go-w", path);
    }
    return L7S_OK;
}

static bool read_all(int fd, char text[L7S_KEY_FILE_MAX + 1], size_t *size)
{
    *size = 0;
    while (*size <= L7S_KEY_FILE_MAX) {
        ssize_t got = read(fd, text + *size, L7S_KEY_FILE_MAX + 1 - *size);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return false;
        }
        *size += got > 0 ? (size_t)got : 0;
    }
    return true;
}

l7s_status_t l7s_key_file_read(const char *what, const char *path, l7s_key_file_t kind,
                               char text[L7S_KEY_FILE_MAX + 1], char why[256])
{
    /* O_NONBLOCK: a FIFO in place of the file must not hang the start. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return l7s_key_explain(why, L7S_IO, "cannot open %s %s: %s", what, path,
                               strerror(errno));
    }
    size_t size = 0;
    l7s_status_t status = check_mode(fd, what, path, kind, why);
    if (status == L7S_OK && !read_all(fd, text, &size)) {
        status = l7s_key_explain(why, L7S_IO, "cannot read %s %s: %s", what, path,
                                 strerror(errno));
    }
    close(fd);
    if (status != L7S_OK) {
        return status;
    }
    if (size > L7S_KEY_FILE_MAX || memchr(text, '\0', size)) {
        return l7s_key_explain(why, L7S_INVALID,
                               "%s %s is not a text of at most %d bytes", what, path,
                               L7S_KEY_FILE_MAX);
    }
    text[size] = '\0';
    return L7S_OK;
}

bool l7s_key_decode(const char *base64, uint8_t out[L7S_KEY_SIZE])
{
    gnutls_datum_t in = {(unsigned char *)(uintptr_t)base64, (unsigned)strlen(base64)};
    gnutls_datum_t raw = {NULL, 0};
    if (in.size == 0 || gnutls_base64_decode2(&in, &raw) < 0) {
        return false;
    }
    bool fits = raw.size == L7S_KEY_SIZE;
    if (fits) {
        memcpy(out, raw.data, L7S_KEY_SIZE);
    }
    gnutls_memset(raw.data, 0, raw.size);
    gnutls_free(raw.data);
    return fits;
}

static l7s_status_t write_text(const char *path, l7s_key_file_t kind, const char *text,
                               char why[256])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, SECRET_MODE);
    if (fd < 0) {
        return l7s_key_explain(why, errno == EEXIST ? L7S_CONFLICT : L7S_IO,
                               "cannot create %s: %s", path, strerror(errno));
    }
    size_t size = strlen(text);
    bool written = write(fd, text, size) == (ssize_t)size &&
                   fchmod(fd, kind == L7S_KEY_SECRET ? SECRET_MODE : PUBLIC_MODE) == 0 &&
                   fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 || !written) {
        unlink(path);
        return l7s_key_explain(why, L7S_IO, "cannot write %s: %s", path, strerror(error));
    }
    return L7S_OK;
}

/* Writes "PREFIX BASE64(key)\n"; `prefix` brings its own separator. */
l7s_status_t l7s_key_file_write(const char *path, l7s_key_file_t kind, const char *prefix,
                                const uint8_t key[L7S_KEY_SIZE], char why[256])
{
    gnutls_datum_t raw = {(unsigned char *)(uintptr_t)key, L7S_KEY_SIZE};
    gnutls_datum_t base64 = {NULL, 0};
    if (gnutls_base64_encode2(&raw, &base64) < 0) {
        return l7s_key_explain(why, L7S_NO_MEMORY, "out of memory");
    }
    char text[128];
    snprintf(text, sizeof text, "%s%.*s\n", prefix, (int)base64.size, base64.data);
    l7s_status_t status = write_text(path, kind, text, why);
    gnutls_memset(text, 0, sizeof text);
    gnutls_memset(base64.data, 0, base64.size);
    gnutls_free(base64.data);
    return status;
}
