/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd backtest LOG --policies FILE (commands.h): the result as a text or as JSON to
 * stdout; on a terminal a bar that shows how far it has got to stderr.
 */
#include "../backtest/backtest.h"
#include "../../core/json/config.h"
#include "backtest_text.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLICIES_MAX ((size_t)32 << 20)
#define BAR 40

/* --- what is tried --- */

static json_t *read_policies(const char *path, l7s_problems_t *problems)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(POLICIES_MAX);
    size_t size = text == NULL ? 0 : fread(text, 1, POLICIES_MAX, file);
    json_t *out = NULL;

    if (text == NULL || ferror(file) != 0) {
        l7s_problems_add(problems, "", "unreadable", "%s", strerror(errno));
    } else if (size == POLICIES_MAX) {
        l7s_problems_add(problems, "", "too_large", "it is larger than 32 MiB");
    } else {
        out = l7s_json_read(text, size, problems);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return out;
}

static int complain(const char *where, const l7s_problems_t *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        fprintf(stderr, "l7shieldd backtest: %s: %s%s%s\n", where,
                problems->items[i].pointer,
                problems->items[i].pointer[0] == '\0' ? "" : ": ",
                problems->items[i].message);
    }
    return 2;
}

/* --- the bar --- */

typedef struct {
    uint64_t total; /* bytes of the log; 0: not known */
    bool shown;
} bar_t;

static bool show(void *context, const admin_progress_t *progress)
{
    bar_t *bar = context;
    double share = bar->total > 0 ? (double)progress->bytes / (double)bar->total : 0;
    int full = (int)(share * BAR);

    full = full < 0 ? 0 : full > BAR ? BAR : full;
    fprintf(stderr, "\r[%.*s%*s] %3d %%  %llu lines ", full,
            "########################################", BAR - full, "", full * 100 / BAR,
            (unsigned long long)progress->lines);
    bar->shown = true;
    return true;
}

static void wipe(const bar_t *bar)
{
    if (bar->shown) {
        fputs("\r\033[K", stderr);
    }
}

/* --- the command --- */

static int run(const admin_options_t *options, admin_backtest_t *backtest)
{
    l7s_problems_t problems = {.count = 0};
    struct stat about;
    bar_t bar = {.total = fstat(backtest->fd, &about) == 0 && S_ISREG(about.st_mode)
                              ? (uint64_t)about.st_size
                              : 0};
    l7s_status_t status;

    if (isatty(STDERR_FILENO)) {
        backtest->progress = show;
        backtest->context = &bar;
    }
    json_t *result = admin_backtest_run(backtest, &problems, &status);
    wipe(&bar);
    if (result == NULL) {
        if (problems.count > 0) {
            return complain(options->of_command.policies, &problems);
        }
        fprintf(stderr, "l7shieldd backtest: %s: %s\n", options->argument,
                status == L7S_IO ? strerror(errno) : l7s_status_name(status));
        return 1;
    }
    if (options->of_command.json) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        admin_backtest_print(result, stdout);
    }
    json_decref(result);
    return fflush(stdout) == 0 ? 0 : 1;
}

int admin_backtest(const admin_options_t *options)
{
    const admin_command_options_t *given = &options->of_command;
    l7s_problems_t problems = {.count = 0};
    bool standard = strcmp(options->argument, "-") == 0;
    admin_backtest_t backtest = {
        .format = l7s_access_format(given->format != NULL ? given->format : "auto"),
        .host = given->host};
    int result;

    if (given->policies == NULL || backtest.format == L7S_ACCESS_FORMATS) {
        fprintf(stderr,
                "usage: l7shieldd backtest LOG --policies FILE"
                " [--format auto|combined|vhost_combined|json] [--host NAME] [--json]\n");
        return 2;
    }
    json_t *document = read_policies(given->policies, &problems);
    if (document == NULL) {
        return complain(given->policies, &problems);
    }
    backtest.document = document;
    backtest.fd = standard ? STDIN_FILENO : open(options->argument, O_RDONLY | O_CLOEXEC);
    if (backtest.fd < 0) {
        fprintf(stderr, "l7shieldd backtest: %s: %s\n", options->argument,
                strerror(errno));
        result = 1;
    } else {
        result = run(options, &backtest);
    }
    if (!standard && backtest.fd >= 0) {
        close(backtest.fd);
    }
    json_decref(document);
    return result;
}
