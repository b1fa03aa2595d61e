/* `llmind rm`: deletes a downloaded model from the cache. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/line.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "hub/hub.h"
#include "profile/format.h"

enum { OPTION_JSON = 300, OPTION_YES = 'y' };

static const struct cli_option options[] = {
    {OPTION_YES, 'y', "yes", NULL, "delete without asking"},
    {OPTION_JSON, 0, "json", NULL, "one JSON object instead of text (wants --yes)"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "rm",
    .arguments = "MODEL[@REV] [--yes] [--json]",
    .about =
        "Deletes a downloaded model from the Hugging Face cache, after showing how large it is. With @REV "
        "only\n"
        "that revision goes, with the files that no other revision uses. Models in other places (the data\n"
        "folder, LLMIND_MODEL_PATH) are folders of yours and are not touched.",
    .options = options,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind rm mlx-community/Qwen3-0.6B-4bit\n"
                "  llmind rm mlx-community/Qwen3-0.6B-4bit@73e3e38d981303bc594367cd910ea6eb48349da8 --yes\n"};

static bool confirmed(void)
{
    struct line_reader reader = {.descriptor = 0, .interrupt = -1};
    char *answer = NULL;
    size_t length = 0;
    fputs("Delete it? [y/N] ", stderr);
    fflush(stderr);
    bool yes = line_read(&reader, &answer, &length) == LINE_READ &&
               (strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0);
    free(answer);
    return yes;
}

static void print_json(const struct hub_removal *removal)
{
    json_t *commit = removal->commit[0] ? json_string(removal->commit) : json_null();
    json_t *o = json_pack("{s:s, s:o, s:s, s:I}", "model", removal->repository, "commit", commit, "path",
                          removal->path, "freed_bytes", (json_int_t)removal->bytes);
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(o);
}

static int run(const struct hub_settings *settings, const char *model, bool yes, bool json,
               struct error *error)
{
    struct hub_removal removal;
    char size[FORMAT_MAX];
    int status = hub_removal_find(settings, model, &removal, error);
    if (status)
        return status;
    format_bytes(size, (double)removal.bytes);
    if (!json)
        printf("%s%s%s: %s, %zu revision%s%s\n%s\n", removal.repository, removal.commit[0] ? "@" : "",
               removal.commit, size, removal.n_snapshots, removal.n_snapshots == 1 ? "" : "s",
               removal.unfinished ? ", with a download that has not ended" : "", removal.path);
    fflush(stdout);
    if (!yes && !(terminal_is(stdin) && confirmed()))
        return error_set(error, ERROR_CANCELLED, "nothing was deleted%s",
                         terminal_is(stdin) ? "" : " (--yes deletes without asking)");
    status = hub_remove(settings, &removal, error);
    if (status)
        return status;
    if (json)
        print_json(&removal);
    else
        printf("deleted; %s are free again\n", size);
    return 0;
}

int cli_rm(int argc, char **argv)
{
    struct cli_parser parser;
    bool yes = false, json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        yes = yes || id == OPTION_YES;
        json = json || id == OPTION_JSON;
    }
    if (id < 0)
        return cli_leave(&parser, id);
    if (json && !yes)
        return cli_usage(&parser, "--json wants --yes, since there is nobody to ask");
    struct hub_settings settings;
    struct error error = {0};
    int status = hub_settings_read(&settings, &error);
    if (!status)
        status = run(&settings, parser.positional[0], yes, json, &error);
    hub_settings_free(&settings);
    if (!status)
        return CLI_EXIT_OK;
    fprintf(stderr, "llmind rm: %s\n", error.message);
    return CLI_EXIT_FAILED;
}
