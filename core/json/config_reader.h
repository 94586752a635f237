/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parsers of policies, lists, apps and responses share: the place in the
 * document, the problems found, and memory that is checked once at the end. Private to
 * the JSON side of core.
 *
 * The parsers check only what a schema cannot say. They run on documents that failed
 * their schema too, so that whoever wrote one gets every problem at once: a member of the
 * wrong type counts as absent, and a place that has a problem already gets no second one.
 */
#ifndef L7S_CONFIG_READER_H
#define L7S_CONFIG_READER_H

#include "../schema/json_pointer.h"
#include "../schema/schema.h"
#include "config.h"

typedef struct {
    l7s_problems_t *problems;
    l7s_pointer_t at;
    bool held;      /* the schema held: what is read is whole */
    bool failed;    /* at least one problem */
    bool no_memory; /* what was read is incomplete */
} l7s_reader_t;

void l7s_reader_begin(l7s_reader_t *reader, l7s_problems_t *problems);

/* Adds a problem at the present place (or its member `key`) unless there is one already.
 * Always false. */
bool l7s_reader_wrong(l7s_reader_t *reader, const char *code, const char *format, ...)
    L7S_PRINTF(3, 4);
bool l7s_reader_wrong_at(l7s_reader_t *reader, const char *key, const char *code,
                         const char *format, ...) L7S_PRINTF(4, 5);

/* Owned copies; NULL (and no_memory) when there is none left. `text` may be NULL. */
char *l7s_reader_text(l7s_reader_t *reader, const char *text);
char *l7s_reader_lower(l7s_reader_t *reader, const char *text);
void *l7s_reader_array(l7s_reader_t *reader, size_t count, size_t size);

/* A member's value, or the default when it is absent or null. Names are cut to fit. */
int64_t l7s_reader_integer(const json_t *object, const char *key, int64_t otherwise);
const char *l7s_reader_string(const json_t *object, const char *key,
                              const char *otherwise);
void l7s_reader_name(const json_t *object, char out[L7S_POLICY_NAME_MAX]);

/* RFC 3339 or null; 0 stands for null and absent. Problem "bad_time". */
void l7s_reader_time(l7s_reader_t *reader, const json_t *object, const char *key,
                     uint64_t *out);
void l7s_reader_mode(const json_t *object, l7s_mode_t otherwise, l7s_mode_t *out);

/* An array of strings, each passed through `accept` (may be NULL), which reports what is
 * wrong and returns the owned string to keep. */
typedef char *(*l7s_accept_fn)(l7s_reader_t *reader, const char *text);
void l7s_reader_strings(l7s_reader_t *reader, const json_t *object, const char *key,
                        l7s_accept_fn accept, l7s_strings_t *out);
void l7s_strings_free(l7s_strings_t *strings);

/* Values of "hosts" and "paths", wherever they stand. */
char *l7s_accept_host(l7s_reader_t *reader, const char *text);
char *l7s_accept_path(l7s_reader_t *reader, const char *text);
/* A regular expression; reports "bad_pattern" with what its compiler says. */
char *l7s_accept_pattern(l7s_reader_t *reader, const char *text);
/* A network; reports "bad_cidr" or "cidr_host_bits" with the corrected value. */
bool l7s_accept_cidr(l7s_reader_t *reader, const char *text, l7s_cidr_t *out);
/* Two capitals ("bad_country"), a number of an autonomous system ("bad_asn"). */
bool l7s_accept_country(l7s_reader_t *reader, const char *text, uint32_t *out);
bool l7s_accept_asn(l7s_reader_t *reader, const char *text, uint32_t *out);

/* One function per noun. `out` is zeroed before; what was filled in is freed with the
 * free function in every case. */
void l7s_match_read(l7s_reader_t *reader, const json_t *json, l7s_match_t *out);
void l7s_match_free(l7s_match_t *match);
/* What the policy counts of the answer; after its detector, consistency and action. */
void l7s_answer_read(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out);
void l7s_policy_read(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out);
void l7s_policy_free(l7s_policy_t *policy);
void l7s_list_read(l7s_reader_t *reader, const json_t *json, l7s_list_t *out);
void l7s_list_free(l7s_list_t *list);
void l7s_app_read(l7s_reader_t *reader, const json_t *json, l7s_app_t *out);
void l7s_app_free(l7s_app_t *app);
void l7s_response_read(l7s_reader_t *reader, const json_t *json, l7s_response_t *out);
void l7s_response_free(l7s_response_t *response);

/* {"count":…,"detect":…} with every default, header names in lower case, whole numbers as
 * integers, rates always as a list. New reference. */
json_t *l7s_policy_counting(const json_t *policy);

#endif
