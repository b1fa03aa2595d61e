/* The table of commands. */
#include "cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "cli/options.h"
#include "service/near.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* NULL: in no list */
};

static const struct command commands[] = {
    {"serve", cli_serve, "the HTTP server: OpenAI's API and more (also: llmind alone)"},
    {"chat", cli_chat, "talk with a model"},
    {"generate", cli_generate, "one completion of a prompt"},
    {"profile", cli_profile, "measure a model: speed, latency, memory, how near to this machine's limits"},
    {"compare", cli_compare, "several models beside each other, or two stored runs: what really differs"},
    {"load", cli_load, "load test: how much a server or a model can serve, and how fast"},
    {"bench", cli_bench, "a grid of small tests, as llama-bench has them"},
    {"eval", cli_eval, "perplexity and top-1 accuracy over a text; logits as .npy"},
    {"estimate", cli_estimate,
     "what a model would need here and how fast it would be, before downloading it"},
    {"system", cli_system, "what this machine is and can do; --calibrate measures what estimates need"},
    {"doctor", cli_doctor, "is this machine set up well? what differs, and how to fix it"},
    {"guide", cli_guide, "what makes models fast, which flags do it, and which models fit this machine"},
    {"history", cli_history, "past profiling runs: list, show, compare, delete, import"},
    {"pull", cli_pull, "download a model from the Hugging Face hub"},
    {"list", cli_list, "models on this machine"},
    {"show", cli_show, "what a model is made of, and what a token of it costs"},
    {"rm", cli_rm, "delete a downloaded model"},
    {"convert", cli_convert, "make an MLX checkpoint, quantized, of a published one"},
    {"synth", cli_synth, "write a random-weight model of a real shape"},
    {"worker", cli_worker, NULL},
    {"lab", cli_lab, NULL},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *what, const char *name)
{
    const char *names[N_COMMANDS];
    size_t n_names = 0;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            names[n_names++] = commands[i].name;
    const char *meant = strcmp(what, "command") == 0 ? near_name(name, names, n_names) : NULL;
    if (meant)
        fprintf(stderr, "llmind: unknown %s '%.60s' (did you mean '%s'?); see 'llmind --help'\n", what, name,
                meant);
    else
        fprintf(stderr, "llmind: unknown %s '%.60s'; see 'llmind --help'\n", what, name);
    return CLI_EXIT_USAGE;
}

static void print_help(void)
{
    printf("usage: llmind COMMAND [options]\n\n"
           "Runs language models in MLX format on this machine and tells how fast they are, and "
           "why.\n\ncommands\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\n'llmind COMMAND --help' shows the options of a command, with examples.\n"
           "MODEL is a name from 'llmind list', a Hugging Face id in the local cache, a folder, or "
           "'builtin'.\n\n"
           "examples\n"
           "  llmind profile --quick\n"
           "  llmind chat\n"
           "  llmind generate builtin -p 'What is a KV cache?' --stats\n"
           "  llmind bench builtin -p 512 -n 128 -t 1,2\n");
}

static void print_version(void)
{
    const char *commit = version_commit();
    printf("llmind %s%s%s%s\n", version_number(), commit ? " (" : "", commit ? commit : "",
           commit ? ")" : "");
}

int cli_main(int argc, char **argv)
{
    if (argc < 2) {
        char *arguments[] = {(char[]){"serve"}, NULL};
        return cli_serve(1, arguments);
    }
    const char *name = argv[1];
    const struct command *command = find(name);
    if (command)
        return command->run(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        print_version();
        return CLI_EXIT_OK;
    }
    bool help = strcmp(name, "help") == 0;
    if (help && argc > 2) {
        command = find(argv[2]);
        char *arguments[] = {argv[2], (char[]){"--help"}, NULL};
        return command ? command->run(2, arguments) : unknown("command", argv[2]);
    }
    if (help || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help();
        return CLI_EXIT_OK;
    }
    return unknown(name[0] == '-' ? "option" : "command", name);
}
