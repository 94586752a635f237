/* SPDX-License-Identifier: Apache-2.0
 *
 * How core reports failure: one status for the program, a bounded list of problems for
 * the person. A function that can fail returns l7s_status_t and must be checked; where a
 * human has to mend an input, it also fills a caller-owned l7s_problems_t with *every*
 * problem found, each with its JSON Pointer (RFC 6901).
 */
#ifndef L7S_STATUS_H
#define L7S_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#define L7S_MUST_USE __attribute__((warn_unused_result))
#define L7S_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum {
    L7S_OK = 0,
    L7S_INVALID, /* the input is wrong; the problems say where */
    L7S_NOT_FOUND,
    L7S_CONFLICT,  /* it exists already, or somebody else owns it */
    L7S_TOO_BIG,   /* it does not fit into the memory it was given */
    L7S_UNTRUSTED, /* signature, permission or key check failed */
    L7S_STALE,     /* older than what is known already, or outside the allowed skew */
    L7S_IO,        /* file or network failed; errno may tell more */
    L7S_TIMEOUT,   /* no answer within the deadline: the outcome is unknown */
    L7S_NO_MEMORY
} l7s_status_t;

#define L7S_PROBLEMS_MAX 32

typedef struct {
    char pointer[192]; /* JSON Pointer to the member, "" for the whole document */
    char code[40];     /* stable, lower_snake: "unknown_key", "cidr_host_bits", … */
    char message[256]; /* a sentence that says what is allowed */
} l7s_problem_t;

/* Invariant: count <= L7S_PROBLEMS_MAX; dropped says how many more there were. */
typedef struct {
    size_t count;
    size_t dropped;
    l7s_problem_t items[L7S_PROBLEMS_MAX];
} l7s_problems_t;

/* Adds one problem; beyond the maximum it is only counted. `problems` may be NULL. */
void l7s_problems_add(l7s_problems_t *problems, const char *pointer, const char *code,
                      const char *format, ...) L7S_PRINTF(4, 5);

/* "invalid", "not_found", …: never NULL. */
const char *l7s_status_name(l7s_status_t status);

#endif
