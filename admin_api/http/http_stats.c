/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters of the API (http_stats.h). Statuses that this daemon never sends fall into one
 * last column.
 */
#include "http_stats.h"
#include "route.h"

#include <inttypes.h>
#include <stdlib.h>

static const unsigned codes[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 406,
                                 409, 412, 413, 415, 422, 429, 500, 503, 504, 0};
static const uint64_t bounds_us[] = {1000,   5000,    25000,   100000,
                                     500000, 2500000, 10000000};

#define CODES (sizeof codes / sizeof codes[0])
#define BOUNDS (sizeof bounds_us / sizeof bounds_us[0])

typedef struct {
    atomic_uint_fast64_t by_code[CODES];
    atomic_uint_fast64_t within[BOUNDS], count, total_us;
} row_t;

struct admin_http_stats {
    size_t rows;
    row_t row[];
};

admin_http_stats_t *admin_http_stats_create(void)
{
    size_t rows = admin_route_count() + 1;
    admin_http_stats_t *stats = calloc(1, sizeof *stats + rows * sizeof stats->row[0]);
    if (stats != NULL) {
        stats->rows = rows;
    }
    return stats;
}

void admin_http_stats_free(admin_http_stats_t *stats)
{
    free(stats);
}

void admin_http_stats_add(admin_http_stats_t *stats, size_t route, unsigned status,
                          uint64_t duration_us)
{
    row_t *row = &stats->row[route < stats->rows ? route : stats->rows - 1];
    size_t code = 0;
    while (code < CODES - 1 && codes[code] != status) {
        code++;
    }
    row->by_code[code]++;
    for (size_t i = 0; i < BOUNDS; i++) {
        row->within[i] += duration_us <= bounds_us[i];
    }
    row->total_us += duration_us;
    row->count++;
}

static void name_row(const admin_http_stats_t *stats, size_t index, const char **method,
                     const char **route)
{
    bool known = index + 1 < stats->rows;
    *method = known ? admin_route_at(index)->method : "other";
    *route = known ? admin_route_at(index)->pattern : "none";
}

static void write_duration(const char *method, const char *route, const row_t *row,
                           FILE *out)
{
    static const char name[] = "l7shieldd_http_request_duration_seconds";
    for (size_t i = 0; i < BOUNDS; i++) {
        fprintf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"%g\"} %" PRIu64 "\n",
                name, method, route, (double)bounds_us[i] / 1e6,
                (uint64_t)row->within[i]);
    }
    fprintf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name,
            method, route, (uint64_t)row->count);
    fprintf(out, "%s_sum{method=\"%s\",route=\"%s\"} %g\n", name, method, route,
            (double)row->total_us / 1e6);
    fprintf(out, "%s_count{method=\"%s\",route=\"%s\"} %" PRIu64 "\n", name, method,
            route, (uint64_t)row->count);
}

void admin_http_stats_write(const admin_http_stats_t *stats, FILE *out)
{
    const char *method, *route;
    fputs("# HELP l7shieldd_http_requests_total Requests answered by the API.\n"
          "# TYPE l7shieldd_http_requests_total counter\n",
          out);
    for (size_t i = 0; i < stats->rows; i++) {
        name_row(stats, i, &method, &route);
        for (size_t c = 0; c < CODES; c++) {
            if (stats->row[i].by_code[c] > 0) {
                fprintf(out,
                        "l7shieldd_http_requests_total{method=\"%s\",route=\"%s\","
                        "code=\"%u\"} %" PRIu64 "\n",
                        method, route, codes[c], (uint64_t)stats->row[i].by_code[c]);
            }
        }
    }
    fputs("# HELP l7shieldd_http_request_duration_seconds Time from head to answer.\n"
          "# TYPE l7shieldd_http_request_duration_seconds histogram\n",
          out);
    for (size_t i = 0; i < stats->rows; i++) {
        name_row(stats, i, &method, &route);
        if (stats->row[i].count > 0) {
            write_duration(method, route, &stats->row[i], out);
        }
    }
}
