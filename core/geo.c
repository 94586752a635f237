/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file of core that calls libmaxminddb.
 */
#include "geo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct l7s_geo {
    uint32_t count;
    MMDB_s files[L7S_GEO_FILES_MAX];
};

l7s_geo_t *l7s_geo_create(void)
{
    return calloc(1, sizeof(l7s_geo_t));
}

void l7s_geo_free(l7s_geo_t *geo)
{
    for (uint32_t i = 0; geo != NULL && i < geo->count; i++) {
        MMDB_close(&geo->files[i]);
    }
    free(geo);
}

l7s_status_t l7s_geo_add(l7s_geo_t *geo, const char *path, char *why, size_t capacity)
{
    int error;

    if (geo->count == L7S_GEO_FILES_MAX) {
        snprintf(why, capacity, "is one more than the %d files that there may be",
                 L7S_GEO_FILES_MAX);
        return L7S_TOO_BIG;
    }
    errno = 0;
    error = MMDB_open(path, MMDB_MODE_MMAP, &geo->files[geo->count]);
    if (error == MMDB_FILE_OPEN_ERROR || error == MMDB_IO_ERROR) {
        snprintf(why, capacity, "cannot be opened (%s)", strerror(errno));
        return L7S_IO;
    }
    if (error != MMDB_SUCCESS) {
        snprintf(why, capacity, "is no MaxMind database (%s)", MMDB_strerror(error));
        return L7S_INVALID;
    }
    geo->count++;
    return L7S_OK;
}

uint32_t l7s_geo_files(const l7s_geo_t *geo)
{
    return geo->count;
}

/* The address as libmaxminddb wants it: IPv4 as such, since a database may know nothing
 * else. */
static void address_of(const l7s_addr_t *addr, struct sockaddr_storage *out)
{
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof *out);
    if (l7s_addr_is_v4(addr)) {
        four->sin_family = AF_INET;
        memcpy(&four->sin_addr, addr->bytes + 12, 4);
    } else {
        six->sin6_family = AF_INET6;
        memcpy(&six->sin6_addr, addr->bytes, 16);
    }
}

static void read_country(MMDB_entry_s *entry, l7s_geo_place_t *out)
{
    static const char *const path[] = {"country", "iso_code", NULL};
    MMDB_entry_data_s data;
    char code[3] = "";

    if (MMDB_aget_value(entry, &data, path) == MMDB_SUCCESS && data.has_data &&
        data.type == MMDB_DATA_TYPE_UTF8_STRING && data.data_size == 2) {
        memcpy(code, data.utf8_string, 2);
        if (l7s_country_code(code) != 0) {
            memcpy(out->country, code, sizeof code);
        }
    }
}

static void read_asn(MMDB_entry_s *entry, l7s_geo_place_t *out)
{
    static const char *const path[] = {"autonomous_system_number", NULL};
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) == MMDB_SUCCESS && data.has_data) {
        out->asn = data.type == MMDB_DATA_TYPE_UINT32   ? data.uint32
                   : data.type == MMDB_DATA_TYPE_UINT16 ? data.uint16
                                                        : 0;
    }
}

void l7s_geo_find(const l7s_geo_t *geo, const l7s_addr_t *addr, l7s_geo_place_t *out)
{
    struct sockaddr_storage address;

    memset(out, 0, sizeof *out);
    address_of(addr, &address);
    for (uint32_t i = 0; i < geo->count; i++) {
        int error = MMDB_SUCCESS;
        MMDB_lookup_result_s found = MMDB_lookup_sockaddr(
            &geo->files[i], (const struct sockaddr *)&address, &error);
        if (error != MMDB_SUCCESS || !found.found_entry) {
            continue;
        }
        if (out->country[0] == '\0') {
            read_country(&found.entry, out);
        }
        if (out->asn == 0) {
            read_asn(&found.entry, out);
        }
    }
}
