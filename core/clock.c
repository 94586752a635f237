/* SPDX-License-Identifier: Apache-2.0
 *
 * Times as text and back. Civil dates are computed here (Howard Hinnant, "chrono-
 * compatible low-level date algorithms") and not by libc, whose results depend on the
 * time zone and whose parsers accept more than RFC 3339.
 */
#include "clock.h"

#include <stdio.h>

#define MS_PER_DAY ((uint64_t)86400000)

typedef struct {
    unsigned year, month, day;
} date_t;

/* Years begin in March here, so that the leap day is the last of a year. */
static date_t date_of_day(uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + 719468;
    unsigned era = (unsigned)(days / 146097);
    unsigned of_era = (unsigned)(days % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned shifted = (5 * of_year + 2) / 153;
    unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
    return (date_t){
        .year = year + era * 400 + (month <= 2 ? 1 : 0),
        .month = month,
        .day = of_year - (153 * shifted + 2) / 5 + 1,
    };
}

static int64_t day_of_date(date_t date)
{
    int64_t year = (int64_t)date.year - (date.month <= 2 ? 1 : 0);
    int64_t era = year / 400;
    int64_t of_era = year % 400;
    int64_t shifted = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t of_year = (153 * shifted + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void l7s_time_text(uint64_t wall_ms, char out[L7S_TIME_TEXT])
{
    uint64_t ms = wall_ms < L7S_TIME_LAST_MS ? wall_ms : L7S_TIME_LAST_MS;
    date_t date = date_of_day(ms / MS_PER_DAY);
    unsigned of_day = (unsigned)(ms % MS_PER_DAY);
    snprintf(out, L7S_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", date.year % 10000,
             date.month % 100, date.day % 100, of_day / 3600000 % 100,
             of_day / 60000 % 60, of_day / 1000 % 60, of_day % 1000);
}

/* Reads exactly `digits` digits; moves *text behind them. */
static bool read_number(const char **text, unsigned digits, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(**text - '0');
    }
    return true;
}

static bool read_char(const char **text, char wanted)
{
    if (**text != wanted) {
        return false;
    }
    (*text)++;
    return true;
}

static bool read_date(const char **text, date_t *date)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!read_number(text, 4, &date->year) || !read_char(text, '-') ||
        !read_number(text, 2, &date->month) || !read_char(text, '-') ||
        !read_number(text, 2, &date->day)) {
        return false;
    }
    if (date->month < 1 || date->month > 12) {
        return false;
    }
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    unsigned length = lengths[date->month - 1] + (leap && date->month == 2 ? 1u : 0u);
    return date->day >= 1 && date->day <= length;
}

/* "23:59:60" is accepted for leap seconds and means the second after. */
static bool read_time(const char **text, uint64_t *ms)
{
    unsigned hour, minute, second;
    if (!read_number(text, 2, &hour) || !read_char(text, ':') ||
        !read_number(text, 2, &minute) || !read_char(text, ':') ||
        !read_number(text, 2, &second) || hour > 23 || minute > 59 || second > 60) {
        return false;
    }
    *ms = (hour * 3600 + minute * 60 + second) * (uint64_t)1000;
    if (!read_char(text, '.')) {
        return true;
    }
    if (**text < '0' || **text > '9') {
        return false;
    }
    for (unsigned scale = 100; **text >= '0' && **text <= '9'; (*text)++, scale /= 10) {
        *ms += (unsigned)(**text - '0') * scale;
    }
    return true;
}

static bool read_offset(const char **text, int64_t *ms)
{
    *ms = 0;
    if (read_char(text, 'Z') || read_char(text, 'z')) {
        return true;
    }
    bool east = **text == '+';
    if (!east && **text != '-') {
        return false;
    }
    (*text)++;
    unsigned hour, minute;
    if (!read_number(text, 2, &hour) || !read_char(text, ':') ||
        !read_number(text, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *ms = (int64_t)(hour * 3600 + minute * 60) * (east ? 1000 : -1000);
    return true;
}

bool l7s_time_parse(const char *text, uint64_t *wall_ms)
{
    date_t date;
    uint64_t of_day;
    int64_t offset;
    if (!read_date(&text, &date) || (!read_char(&text, 'T') && !read_char(&text, 't')) ||
        !read_time(&text, &of_day) || !read_offset(&text, &offset) || *text != '\0') {
        return false;
    }
    int64_t ms = day_of_date(date) * (int64_t)MS_PER_DAY + (int64_t)of_day - offset;
    if (ms < 0) {
        return false;
    }
    *wall_ms = (uint64_t)ms;
    return true;
}
