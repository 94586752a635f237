/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd's part for tests of l7shield-sync alone: owns a segment, starts the program with
 * it on descriptor 3 and decides requests in it like a worker, on commands from stdin.
 *
 * Usage: segment_tool MEGABYTES PROGRAM OPTION… (without --segment-fd, --generation and
 * --parent). Each command is answered by one line of JSON.
 *   spawn GENERATION            starts the program; the generation is also httpd's then
 *   kill SIGNAL · wait MS       of the process started last; wait: has it ended?
 *   decide N ADDRESS METHOD HOST PATH [HEADER VALUE]   N requests, counted by outcome
 *   state · bans · episodes     what stands in the segment
 *   age MS                      makes every episode that much older
 *   pin · unpin                 a worker that holds the image
 */
#define _GNU_SOURCE /* memfd_create */
#include "../../core/decide/decide.h"
#include "../../core/mode.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096
#define WORDS 8
#define CHILDREN 16
#define SEGMENT_FD 3
#define ARGUMENTS 64

static l7s_shared_t shared;
static l7s_pin_t *worker_pin, *held_pin;
static char **program;
static int program_arguments;
static pid_t child; /* 0: none, or its end has been seen */

static l7s_now_t now(void)
{
    struct timespec mono, wall;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (l7s_now_t){
        .mono_us = (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
        .wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000};
}

static void answer(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(json);
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "segment_tool: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void make_segment(size_t size)
{
    uint8_t random[48];
    int fd = memfd_create("l7shield-test", 0);

    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 ||
        getrandom(random, sizeof random, 0) != sizeof random) {
        fail("segment");
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED || l7s_segment_format(memory, size, random) != L7S_OK ||
        l7s_segment_attach(memory, size, &shared) != L7S_OK) {
        fail("layout");
    }
    if (fd != SEGMENT_FD && (dup2(fd, SEGMENT_FD) < 0 || close(fd) != 0)) {
        fail("dup2");
    }
}

static void run_program(const char *generation)
{
    char options[3][64], *arguments[ARGUMENTS];
    int count = 0;

    snprintf(options[0], 64, "--segment-fd=%d", SEGMENT_FD);
    snprintf(options[1], 64, "--generation=%s", generation);
    snprintf(options[2], 64, "--parent=%d", (int)getppid());
    for (int i = 0; i < program_arguments && count < ARGUMENTS - 4; i++) {
        arguments[count++] = program[i];
    }
    for (unsigned i = 0; i < 3; i++) {
        arguments[count++] = options[i];
    }
    arguments[count] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execv(program[0], arguments);
    fail(program[0]);
}

static void spawn(const char *generation)
{
    atomic_store(&shared.header->config_generation, strtoull(generation, NULL, 10));
    fflush(stdout);
    pid_t started = fork();
    if (started == 0) {
        run_program(generation);
    }
    child = started;
    answer(json_pack("{s:i}", "pid", (int)started));
}

static void wait_child(const char *milliseconds)
{
    long left = strtol(milliseconds, NULL, 10);
    const struct timespec pause = {.tv_nsec = 5000000};
    int status = 0;
    pid_t done;

    if (child == 0) {
        answer(json_pack("{s:b, s:i}", "ended", 1, "status", 0));
        return;
    }
    for (;;) {
        done = waitpid(child, &status, WNOHANG);
        if (done != 0 || left <= 0) {
            break;
        }
        nanosleep(&pause, NULL);
        left -= 5;
    }
    child = done > 0 ? 0 : child;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    answer(done > 0 ? json_pack("{s:b, s:i}", "ended", 1, "status", code)
                    : json_pack("{s:b}", "ended", 0));
}

static const char *header_name, *header_value;

static const char *find_header(void *context, const char *name)
{
    (void)context;
    return header_name != NULL && strcmp(name, header_name) == 0 ? header_value : NULL;
}

static void decide(char **words, unsigned count)
{
    uint64_t outcomes[L7S_OUTCOMES] = {0};
    l7s_request_t request = {.method = words[3],
                             .host = words[4],
                             .path = words[5],
                             .mode = L7S_MODE_ENFORCE,
                             .header = find_header};
    l7s_verdict_t verdict = {0};

    header_name = count > 7 ? words[6] : NULL;
    header_value = count > 7 ? words[7] : NULL;
    if (!l7s_addr_parse(words[2], &request.client)) {
        fail(words[2]);
    }
    for (long left = strtol(words[1], NULL, 10); left > 0; left--) {
        const void *image = l7s_segment_pin(&shared, &worker_pin, getpid());
        if (image == NULL) {
            outcomes[L7S_OUTCOME_ADMITTED]++;
            continue;
        }
        l7s_decide(&shared, image, &request, now(), &verdict);
        l7s_segment_unpin(worker_pin);
        outcomes[verdict.outcome]++;
    }
    json_t *out = json_object();
    for (unsigned i = 0; i < L7S_OUTCOMES; i++) {
        json_object_set_new(out, l7s_outcome_name((l7s_outcome_t)i),
                            json_integer((json_int_t)outcomes[i]));
    }
    json_object_set_new(out, "policy", json_string(verdict.policy));
    json_object_set_new(out, "incident", json_string(verdict.incident));
    answer(out);
}

static void number(json_t *out, const char *name, uint64_t value)
{
    json_object_set_new(out, name, json_integer((json_int_t)value));
}

static void state(void)
{
    l7s_segment_t *header = shared.header;
    json_t *out = json_object();

    number(out, "generation", atomic_load(&header->image_generation));
    number(out, "config_epoch", atomic_load(&header->config_epoch));
    number(out, "revision", atomic_load(&header->revision));
    number(out, "live_nodes", atomic_load(&header->live_nodes));
    number(out, "store_up", atomic_load(&header->store_up));
    number(out, "ready", atomic_load(&header->sync_ready));
    number(out, "pid", (uint64_t)atomic_load(&header->sync_pid));
    number(out, "beat", atomic_load(&header->sync_beat_ms));
    number(out, "claimed", atomic_load(&header->table_stats.claimed));
    number(out, "released", atomic_load(&header->table_stats.released));
    json_object_set_new(
        out, "mode", json_string(l7s_mode_name((l7s_mode_t)atomic_load(&header->mode))));
    json_object_set_new(
        out, "because",
        json_string(l7s_because_name((l7s_because_t)atomic_load(&header->because))));
    answer(out);
}

static void add_ban(void *context, const l7s_ban_t *ban)
{
    json_array_append_new(context, json_string(ban->id));
}

static void bans(void)
{
    json_t *out = json_array();

    l7s_bans_scan(&shared.bans, now(), add_ban, out);
    answer(out);
}

static void episodes(void)
{
    json_t *out = json_array();

    for (unsigned i = 0; i < L7S_EPISODES; i++) {
        const l7s_episode_t *episode = &shared.episodes.entries[i];
        if (l7s_cell_key((l7s_cell_t *)(void *)episode).lo != 0) {
            json_array_append_new(out, json_string(episode->facts.id));
        }
    }
    answer(out);
}

static void age(uint64_t by_ms)
{
    for (unsigned i = 0; i < L7S_EPISODES; i++) {
        l7s_episode_t *episode = &shared.episodes.entries[i];
        atomic_fetch_sub(&episode->last_ms, by_ms);
        episode->facts.started_ms -= by_ms;
    }
    answer(json_object());
}

static void obey(char **words, unsigned count)
{
    json_t *done = json_object();

    if (strcmp(words[0], "spawn") == 0 && count == 2) {
        spawn(words[1]);
    } else if (strcmp(words[0], "kill") == 0 && count == 2) {
        if (child != 0) {
            kill(child, atoi(words[1]));
        }
        answer(json_incref(done));
    } else if (strcmp(words[0], "wait") == 0 && count == 2) {
        wait_child(words[1]);
    } else if (strcmp(words[0], "decide") == 0 && count >= 6) {
        decide(words, count);
    } else if (strcmp(words[0], "state") == 0) {
        state();
    } else if (strcmp(words[0], "bans") == 0) {
        bans();
    } else if (strcmp(words[0], "episodes") == 0) {
        episodes();
    } else if (strcmp(words[0], "age") == 0 && count == 2) {
        age(strtoull(words[1], NULL, 10));
    } else if (strcmp(words[0], "pin") == 0) {
        answer(json_pack("{s:b}", "pinned",
                         l7s_segment_pin(&shared, &held_pin, getpid()) != NULL));
    } else if (strcmp(words[0], "unpin") == 0 && held_pin != NULL) {
        l7s_segment_unpin(held_pin);
        answer(json_incref(done));
    } else {
        answer(json_pack("{s:s}", "error", words[0]));
    }
    json_decref(done);
}

int main(int argc, char **argv)
{
    char line[LINE_BYTES], *words[WORDS], *rest;

    if (argc < 3) {
        fprintf(stderr, "usage: segment_tool MEGABYTES PROGRAM OPTION…\n");
        return 2;
    }
    program = argv + 2;
    program_arguments = argc - 2;
    make_segment((size_t)strtoul(argv[1], NULL, 10) << 20);
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned count = 0;
        for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS;
             word = strtok_r(NULL, " \n", &rest)) {
            words[count++] = word;
        }
        if (count > 0) {
            obey(words, count);
        }
    }
    return 0;
}
