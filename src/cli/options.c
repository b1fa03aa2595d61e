/* One table per command makes the getopt_long arrays, the help page and the "did you mean" of an unknown
 * option. The engine's own flags stand in a second table that every command with an engine shares; each but
 * --adapter and --prompt-cache has an environment variable of the same name (--prefill-chunk:
 * LLMIND_PREFILL_CHUNK), and a flag beats it. */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/near.h"

enum {
    ID_HELP = 1000,
    ID_THREADS,
    ID_CTX,
    ID_BACKEND,
    ID_ISA,
    ID_PRECISE,
    ID_PREFILL_CHUNK,
    ID_KV_BITS,
    ID_PROMPT_LOOKUP,
    ID_ADAPTER,
    ID_PROMPT_CACHE
};

enum { MAX_OPTIONS = 64, MAX_THREADS = 1024, MAX_CONTEXT = 1 << 24 };

static const struct cli_option engine_table[] = {
    {ID_THREADS, 't', "threads", "N", "compute threads (default: the cores this process may use)"},
    {ID_CTX, 0, "ctx", "N", "tokens one sequence may have (default: the model's own, at most 8192)"},
    {ID_BACKEND, 0, "backend", "NAME", "cpu (default), or mlx where it was built in"},
    {ID_ISA, 0, "isa", "NAME", "kernels: reference, avx2, avx512; of mlx: cpu, gpu (default: the best here)"},
    {ID_PRECISE, 0, "precise", NULL, "compute everything in f32"},
    {ID_PREFILL_CHUNK, 0, "prefill-chunk", "N", "prompt tokens per step (default 512)"},
    {ID_KV_BITS, 0, "kv-bits", "N", "bits per cached number: 8, 16 or 32 (default 16; 32 with --precise)"},
    {ID_PROMPT_LOOKUP, 0, "prompt-lookup", "N",
     "guess up to N tokens from the text so far, at most 15 (default 0)"},
    {ID_ADAPTER, 0, "adapter", "DIR", "a LoRA adapter for the model, as mlx_lm.lora writes it"},
    {ID_PROMPT_CACHE, 0, "prompt-cache", "FILE",
     "a prompt that generate --save-prompt-cache has kept: known at once"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_option help_option = {ID_HELP, 'h', "help", NULL, "this page"};

/* The variable of an engine option, or NULL. */
static const char *environment_of(int id)
{
    switch (id) {
    case ID_THREADS:
        return "LLMIND_THREADS";
    case ID_CTX:
        return "LLMIND_CTX";
    case ID_BACKEND:
        return "LLMIND_BACKEND";
    case ID_ISA:
        return "LLMIND_ISA";
    case ID_PRECISE:
        return "LLMIND_PRECISE";
    case ID_PREFILL_CHUNK:
        return "LLMIND_PREFILL_CHUNK";
    case ID_KV_BITS:
        return "LLMIND_KV_BITS";
    case ID_PROMPT_LOOKUP:
        return "LLMIND_PROMPT_LOOKUP";
    default:
        return NULL;
    }
}

/* A command's own option of the same name stands before an engine option (bench: --threads takes a list); not
 * every one takes --adapter or --prompt-cache. */
static bool overridden(const struct cli_spec *spec, const char *name)
{
    if ((!spec->adapter && strcmp(name, "adapter") == 0) ||
        (!spec->prompt_cache && strcmp(name, "prompt-cache") == 0))
        return true;
    for (const struct cli_option *o = spec->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return true;
    return false;
}

/* All options a command takes, one after another: 0 .. until NULL. */
static const struct cli_option *option_at(const struct cli_spec *spec, size_t index)
{
    for (const struct cli_option *o = spec->options; o && o->name; o++)
        if (index-- == 0)
            return o;
    if (spec->engine_options)
        for (const struct cli_option *o = engine_table; o->name; o++)
            if (!overridden(spec, o->name) && index-- == 0)
                return o;
    return index == 0 ? &help_option : NULL;
}

/* ---- values ---- */

static bool parse_u64(const char *text, uint64_t *out)
{
    if (!text || text[0] < '0' || text[0] > '9') /* strtoull takes "-1" and blanks; we do not */
        return false;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

void cli_u32(struct cli_parser *parser, uint32_t min, uint32_t max, uint32_t *out)
{
    uint64_t value;
    if (!parse_u64(parser->value, &value) || value < min || value > max)
        error_set(&parser->error, ERROR_INVALID, "%s wants a whole number from %u to %u, not '%s'",
                  parser->option, min, max, parser->value);
    else
        *out = (uint32_t)value;
}

void cli_u64(struct cli_parser *parser, uint64_t *out)
{
    uint64_t value;
    if (!parse_u64(parser->value, &value))
        error_set(&parser->error, ERROR_INVALID, "%s wants a whole number, not '%s'", parser->option,
                  parser->value);
    else
        *out = value;
}

void cli_text_list(struct cli_parser *parser, const char **out, size_t capacity, size_t *count)
{
    if (*count == capacity || !*parser->value)
        error_set(&parser->error, ERROR_INVALID, "%s wants text, and may be given %zu times", parser->option,
                  capacity);
    else
        out[(*count)++] = parser->value;
}

bool cli_switch(const struct cli_switch *switches, size_t n_switches, int id)
{
    for (size_t i = 0; i < n_switches; i++)
        if (switches[i].id == id) {
            *switches[i].out = true;
            return true;
        }
    return false;
}

void cli_float(struct cli_parser *parser, double min, double max, float *out)
{
    char *end;
    errno = 0;
    double value = strtod(parser->value, &end);
    if (errno || end == parser->value || *end || !isfinite(value) || value < min || value > max)
        error_set(&parser->error, ERROR_INVALID, "%s wants a number from %g to %g, not '%s'", parser->option,
                  min, max, parser->value);
    else
        *out = (float)value;
}

void cli_u32_list(struct cli_parser *parser, uint32_t min, uint32_t max, uint32_t *out, uint32_t capacity,
                  uint32_t *count)
{
    char item[16];
    uint32_t n = 0;
    const char *text = parser->value;
    for (;;) {
        size_t length = strcspn(text, ",");
        uint64_t value;
        if (length < sizeof item) {
            memcpy(item, text, length);
            item[length] = '\0';
        }
        if (length >= sizeof item || !parse_u64(item, &value) || value < min || value > max ||
            n == capacity) {
            error_set(&parser->error, ERROR_INVALID,
                      "%s wants at most %u whole numbers from %u to %u with commas between, not '%s'",
                      parser->option, capacity, min, max, parser->value);
            return;
        }
        out[n++] = (uint32_t)value;
        if (!text[length])
            break;
        text += length + 1;
    }
    *count = n;
}

/* ---- engine options ---- */

static void kv_bits_option(struct cli_parser *parser, uint32_t *out)
{
    uint64_t value;
    if (!parse_u64(parser->value, &value) || (value != 8 && value != 16 && value != 32))
        error_set(&parser->error, ERROR_INVALID, "%s wants 8, 16 or 32, not '%s'", parser->option,
                  parser->value);
    else
        *out = (uint32_t)value;
}

static void engine_option(struct cli_parser *parser, int id)
{
    struct engine_options *engine = &parser->engine;
    switch (id) {
    case ID_THREADS:
        cli_u32(parser, 1, MAX_THREADS, &engine->n_threads);
        break;
    case ID_CTX:
        cli_u32(parser, 1, MAX_CONTEXT, &engine->context);
        break;
    case ID_BACKEND:
        engine->backend = parser->value;
        break;
    case ID_ISA:
        engine->isa = parser->value;
        break;
    case ID_PREFILL_CHUNK:
        cli_u32(parser, 1, 65536, &engine->prefill_chunk);
        break;
    case ID_KV_BITS:
        kv_bits_option(parser, &engine->kv_bits);
        break;
    case ID_ADAPTER:
        /* "." and "../tuned" have no name to be told by, and a word would be found in any message */
        engine->adapter = realpath(parser->value, parser->adapter) ? parser->adapter : parser->value;
        break;
    case ID_PROMPT_CACHE: /* likewise */
        if (parser->value && *parser->value)
            engine->prompt_cache =
                realpath(parser->value, parser->prompt_cache) ? parser->prompt_cache : parser->value;
        else
            error_set(&parser->error, ERROR_INVALID, "--prompt-cache wants the name of a file");
        break;
    case ID_PROMPT_LOOKUP:
        cli_u32(parser, 0, ENGINE_MAX_PROMPT_LOOKUP, &engine->prompt_lookup);
        break;
    case ID_PRECISE: {
        /* a flag has no value; the variable may say 0 */
        uint32_t on = 1;
        if (parser->value)
            cli_u32(parser, 0, 1, &on);
        engine->precise = on;
        break;
    }
    default:
        break;
    }
}

static void read_environment(struct cli_parser *parser)
{
    for (const struct cli_option *o = engine_table; o->name && !parser->error.code; o++) {
        const char *variable = environment_of(o->id);
        const char *value = variable ? getenv(variable) : NULL;
        if (!value || !*value)
            continue;
        snprintf(parser->option, sizeof parser->option, "%s", variable);
        parser->value = value;
        engine_option(parser, o->id);
    }
}

/* ---- parsing ---- */

void cli_begin(struct cli_parser *parser, const struct cli_spec *spec, int argc, char **argv)
{
    memset(parser, 0, sizeof *parser);
    parser->spec = spec;
    parser->argc = argc;
    parser->argv = argv;
    opterr = 0;
#ifdef __GLIBC__
    optind = 0; /* start afresh, permutation state included */
#else
    extern int optreset;
    optreset = 1;
    optind = 1;
#endif
    if (spec->engine_options)
        read_environment(parser);
}

/* What getopt could not place: an unknown option (with the nearest known one) or a missing value. */
static int bad_option(struct cli_parser *parser, int code)
{
    const char *word = parser->argv[optind > 0 ? optind - 1 : 0];
    if (code == ':')
        return error_set(&parser->error, ERROR_INVALID, "%s wants a value", word);
    if (strncmp(word, "--", 2) != 0)
        return error_set(&parser->error, ERROR_INVALID, "unknown option '-%c'", optopt);
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    const struct cli_option *o;
    for (; n < MAX_OPTIONS && (o = option_at(parser->spec, n)); n++) {
        names[n] = o->name;
        if (strcmp(o->name, name) == 0)
            return error_set(&parser->error, ERROR_INVALID, "--%s takes no value", name);
    }
    const char *meant = near_name(name, names, n);
    if (meant)
        return error_set(&parser->error, ERROR_INVALID, "unknown option '--%s' (did you mean --%s?)", name,
                         meant);
    return error_set(&parser->error, ERROR_INVALID, "unknown option '--%s'", name);
}

static int next_option(struct cli_parser *parser)
{
    struct option options[MAX_OPTIONS + 1];
    char letters[2 * MAX_OPTIONS + 2] = ":";
    size_t n = 0, n_letters = 1;
    const struct cli_option *o;
    for (; n < MAX_OPTIONS && (o = option_at(parser->spec, n)); n++) {
        options[n] = (struct option){o->name, o->value ? required_argument : no_argument, NULL, o->id};
        if (o->letter) {
            letters[n_letters++] = o->letter;
            if (o->value)
                letters[n_letters++] = ':';
        }
    }
    letters[n_letters] = '\0';
    options[n] = (struct option){NULL, 0, NULL, 0};

    int code = getopt_long(parser->argc, parser->argv, letters, options, NULL);
    if (code == -1)
        return CLI_END;
    if (code == '?' || code == ':')
        return bad_option(parser, code);
    for (size_t i = 0; i < n; i++) {
        o = option_at(parser->spec, i);
        if (code == o->id || (o->letter && code == o->letter)) {
            snprintf(parser->option, sizeof parser->option, "--%s", o->name);
            parser->value = o->value ? optarg : NULL;
            return o->id;
        }
    }
    return error_set(&parser->error, ERROR_INTERNAL, "option code %d has no row", code);
}

/* Names the first argument that is missing: the n-th word of "SHAPE [options] DIR" without what is optional.
 */
static int missing(struct cli_parser *parser, int n)
{
    const struct cli_spec *spec = parser->spec;
    const char *word = spec->arguments;
    for (; *word && (n > 0 || *word == '['); word += strspn(word, " ")) {
        n -= *word != '[';
        word += strcspn(word, " ");
    }
    int length = (int)strcspn(word, " ");
    bool model = length == 5 && strncmp(word, "MODEL", 5) == 0;
    return error_set(&parser->error, ERROR_INVALID, "%.*s is missing%s; usage: llmind %s %s", length, word,
                     model ? " ('llmind list' shows what is here)" : "", spec->command, spec->arguments);
}

static int take_positional(struct cli_parser *parser)
{
    const struct cli_spec *spec = parser->spec;
    int n = parser->argc - optind;
    if (n > spec->max_positional)
        return error_set(&parser->error, ERROR_INVALID, "unexpected argument '%s'",
                         parser->argv[optind + spec->max_positional]);
    if (n < spec->min_positional)
        return missing(parser, n);
    for (int i = 0; i < n; i++)
        parser->positional[i] = parser->argv[optind + i];
    parser->n_positional = n;
    return 0;
}

int cli_next(struct cli_parser *parser)
{
    while (!parser->error.code) {
        int id = next_option(parser);
        if (id < 0)
            return CLI_ERROR;
        if (id == CLI_END)
            return take_positional(parser) ? CLI_ERROR : CLI_END;
        if (id == ID_HELP)
            return CLI_HELP;
        if (id < ID_HELP)
            return id;
        engine_option(parser, id);
    }
    return CLI_ERROR;
}

int cli_leave(struct cli_parser *parser, int result)
{
    if (result == CLI_HELP) {
        cli_print_help(parser->spec);
        return CLI_EXIT_OK;
    }
    fprintf(stderr, "llmind %s: %s; see 'llmind %s --help'\n", parser->spec->command, parser->error.message,
            parser->spec->command);
    return CLI_EXIT_USAGE;
}

int cli_usage(struct cli_parser *parser, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&parser->error, ERROR_INVALID, "%s", text);
    return cli_leave(parser, CLI_ERROR);
}

/* ---- help ---- */

static void print_option(const struct cli_option *o)
{
    char left[48];
    snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, o->value ? " " : "", o->value ? o->value : "");
    printf("  %-28s %s\n", left, o->help);
}

void cli_print_help(const struct cli_spec *spec)
{
    printf("usage: llmind %s %s\n\n%s\n\noptions\n", spec->command, spec->arguments, spec->about);
    for (const struct cli_option *o = spec->options; o && o->name; o++)
        print_option(o);
    print_option(&help_option);
    if (spec->engine_options) {
        printf("\nengine (each but --adapter and --prompt-cache also as LLMIND_THREADS, LLMIND_CTX, ...\n"
               "in the environment; a flag wins)\n");
        for (const struct cli_option *o = engine_table; o->name; o++)
            if (!overridden(spec, o->name))
                print_option(o);
    }
    printf("\nexamples\n%s", spec->examples);
}
