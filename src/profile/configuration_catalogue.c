/* Names, values, variants. */
#include "profile/configuration_catalogue.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/configuration.h"

enum { SHORTEST = 8, MAX_VALUES = 8, TEST_PROMPT = 64 };

static const struct {
    const char *name;
    enum configuration_kind kind;
    uint32_t least, most; /* of "=value"; 0: takes none */
} names[] = {{"baseline", CONFIGURATION_BASELINE, 0, 0},
             {"high_temperature", CONFIGURATION_TEMPERATURE, 0, 0},
             {"low_temperature", CONFIGURATION_TEMPERATURE, 0, 0},
             {"temperature", CONFIGURATION_TEMPERATURE, 0, 2}, /* with a value only */
             {"short_response", CONFIGURATION_LENGTH, 0, 0},
             {"long_response", CONFIGURATION_LENGTH, 0, 0},
             {"threads", CONFIGURATION_THREADS, 1, 1024},
             {"concurrency", CONFIGURATION_CONCURRENCY, 1, 64},
             {"kv_bits", CONFIGURATION_KV_BITS, 8, 32},
             {"prefix_cache", CONFIGURATION_PREFIX_CACHE, 0, 0},
             {"prefill_chunk", CONFIGURATION_PREFILL_CHUNK, 1, 65536},
             {"prompt_lookup", CONFIGURATION_PROMPT_LOOKUP, 1, ENGINE_MAX_PROMPT_LOOKUP},
             {"isa", CONFIGURATION_ISA, 1, 0}};

enum { N_NAMES = sizeof names / sizeof *names };

/* ---- names ---- */

static bool value_ok(size_t name, const char *value)
{
    if (names[name].kind == CONFIGURATION_ISA) {
        size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_");
        return n > 0 && n < 24 && !value[n];
    }
    if (names[name].most == 0 || !isdigit((unsigned char)*value) || strlen(value) > 6)
        return false;
    char *end;
    if (names[name].kind == CONFIGURATION_TEMPERATURE)
        return strspn(value, "0123456789.") == strlen(value) && strtod(value, &end) <= names[name].most &&
               !*end;
    unsigned long number = strtoul(value, &end, 10);
    if (*end || number < names[name].least || number > names[name].most)
        return false;
    return names[name].kind != CONFIGURATION_KV_BITS || number == 8 || number == 16 || number == 32;
}

/* The index of the name that `text` asks for, with what it gives as a value (or NULL); -1: none. */
static int find_name(const char *text, const char **value)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    for (size_t i = 0; i < N_NAMES; i++)
        if (strlen(names[i].name) == length && memcmp(names[i].name, text, length) == 0) {
            *value = equals ? equals + 1 : NULL;
            bool good = equals ? value_ok(i, equals + 1)
                               : names[i].kind != CONFIGURATION_TEMPERATURE || names[i].most == 0;
            return good ? (int)i : -1;
        }
    return -1;
}

bool configuration_known(const char *name)
{
    const char *value;
    return find_name(name, &value) >= 0;
}

bool configuration_is_one(const char *name)
{
    const char *value;
    int found = find_name(name, &value);
    return found >= 0 && names[found].kind != CONFIGURATION_BASELINE && (names[found].least == 0 || value);
}

/* MLX has its own threads, instructions and cache, and promises nothing that guessing could rest on. */
static bool kind_fits(enum configuration_kind kind, const char *backend)
{
    bool of_cpu_alone = kind == CONFIGURATION_THREADS || kind == CONFIGURATION_KV_BITS ||
                        kind == CONFIGURATION_ISA || kind == CONFIGURATION_PROMPT_LOOKUP;
    return !of_cpu_alone || !backend || strcmp(backend, "cpu") == 0;
}

bool configuration_fits(const char *name, const char *backend)
{
    const char *value;
    int found = find_name(name, &value);
    return found >= 0 && kind_fits(names[found].kind, backend);
}

/* ---- requests ---- */

struct builder {
    const struct configuration_machine *machine;
    const struct profile_request *request;
    uint32_t shorten;
    json_t *cuts;
    struct configuration_list *list;
};

static uint32_t shortened(const struct builder *builder, uint32_t tokens)
{
    uint32_t n = tokens / builder->shorten;
    return n < SHORTEST ? SHORTEST : n;
}

static struct lab_run prompt_run(const struct builder *builder, double temperature, uint32_t max_tokens)
{
    struct lab_run run = {.scenario = {.kind = SCENARIO_PROMPT,
                                       .id = "configuration",
                                       .label = "configuration",
                                       .prompt = builder->machine->prompt,
                                       .max_tokens = shortened(builder, max_tokens)},
                          .n_sequences = 1,
                          .temperature = temperature};
    size_t guess = strlen(builder->machine->prompt) / 4 + 32; /* bytes of a token, the chat template's own */
    run.scenario.prompt_tokens = guess < UINT32_MAX ? (uint32_t)guess : UINT32_MAX;
    return run;
}

/* prompt_tokens in, `steps` decode steps (0: the first token only); no longer than the context. */
static struct lab_run test_run(const struct builder *builder, uint32_t prompt_tokens, uint32_t steps)
{
    uint32_t context = builder->machine->baseline->context, answer = steps + 1;
    while (prompt_tokens > 1 && context && (uint64_t)prompt_tokens + answer > context)
        prompt_tokens /= 2;
    struct lab_run run = {.scenario = {.kind = steps ? SCENARIO_DECODE : SCENARIO_PREFILL,
                                       .id = "configuration",
                                       .label = "configuration",
                                       .prompt_tokens = prompt_tokens,
                                       .depth = steps ? prompt_tokens : 0,
                                       .max_tokens = answer},
                          .n_sequences = 1,
                          .temperature = NAN};
    return run;
}

/* The baseline's engine, spelled out, so that nothing but the knob differs. */
static struct engine_options engine_of(const struct builder *builder)
{
    const struct engine_info *info = builder->machine->baseline;
    return (struct engine_options){.model = builder->machine->folder,
                                   .adapter = builder->request->models[0].adapter,
                                   .backend = info->backend,
                                   .isa = info->isa,
                                   .n_threads = info->n_threads,
                                   .context = info->context,
                                   .max_sequences = info->max_sequences,
                                   .prefill_chunk = info->prefill_chunk,
                                   .prompt_lookup = info->prompt_lookup,
                                   .kv_bits = info->kv_bits,
                                   .precise = info->precise};
}

static struct configuration *add(struct builder *builder, enum configuration_kind kind)
{
    struct configuration_list *list = builder->list;
    if (list->count == CONFIGURATION_MAX)
        return NULL;
    struct configuration *item = &list->items[list->count++];
    *item = (struct configuration){
        .kind = kind,
        .a = prompt_run(builder, CONFIGURATION_TEMPERATURE_USUAL, CONFIGURATION_TOKENS),
        .same_as_baseline = true,
        .engine = engine_of(builder),
        .compared = SWEEP_DECODE_TPS};
    item->b = item->a;
    return item;
}

static void name_it(struct configuration *item, const char *id, const char *label)
{
    snprintf(item->id, sizeof item->id, "%s", id);
    snprintf(item->label, sizeof item->label, "%s", label);
}

/* ---- variants ---- */

static void add_of_seed(struct builder *builder, const char *name, enum configuration_kind kind)
{
    static const struct {
        const char *name, *label;
        double temperature;
        uint32_t max_tokens;
    } seed[] = {{"baseline", "Baseline", CONFIGURATION_TEMPERATURE_USUAL, CONFIGURATION_TOKENS},
                {"high_temperature", "High temperature", 0.9, CONFIGURATION_TOKENS},
                {"low_temperature", "Low temperature", 0.3, CONFIGURATION_TOKENS},
                {"short_response", "Short response", CONFIGURATION_TEMPERATURE_USUAL, 50},
                {"long_response", "Long response", CONFIGURATION_TEMPERATURE_USUAL, 200}};
    for (size_t i = 0; i < sizeof seed / sizeof *seed; i++)
        if (strcmp(seed[i].name, name) == 0) {
            struct configuration *item = add(builder, kind);
            if (!item)
                return;
            name_it(item, seed[i].name, seed[i].label);
            item->b = prompt_run(builder, seed[i].temperature, seed[i].max_tokens);
        }
}

static void add_temperature(struct builder *builder, const char *value)
{
    struct configuration *item = add(builder, CONFIGURATION_TEMPERATURE);
    if (!item)
        return;
    snprintf(item->id, sizeof item->id, "temperature=%.6s", value);
    snprintf(item->label, sizeof item->label, "Temperature %.6s", value);
    item->b = prompt_run(builder, strtod(value, NULL), CONFIGURATION_TOKENS);
}

static void use_test(struct configuration *item, struct lab_run run, enum sweep_figure compared)
{
    item->a = item->b = run;
    item->same_as_baseline = false;
    item->compared = compared;
}

static void add_threads(struct builder *builder, uint32_t n)
{
    struct configuration *item = add(builder, CONFIGURATION_THREADS);
    if (!item)
        return;
    item->own_lab = true;
    item->number = item->engine.n_threads = n;
    snprintf(item->id, sizeof item->id, "threads=%u", n);
    snprintf(item->label, sizeof item->label, n == 1 ? "%u thread" : "%u threads", n);
}

static void add_concurrency(struct builder *builder, uint32_t n)
{
    struct configuration *item = add(builder, CONFIGURATION_CONCURRENCY);
    if (!item)
        return;
    use_test(item, test_run(builder, TEST_PROMPT, shortened(builder, CONFIGURATION_STEPS)),
             SWEEP_AGGREGATE_TPS);
    item->number = item->b.n_sequences = n;
    if (item->engine.max_sequences < n) {
        item->own_lab = true;
        item->engine.max_sequences = n < 8 ? 8 : n; /* one lab serves 2, 4 and 8 */
    }
    snprintf(item->id, sizeof item->id, "concurrency=%u", n);
    snprintf(item->label, sizeof item->label, "%u at once", n);
}

static void add_kv_bits(struct builder *builder, uint32_t bits)
{
    struct configuration *item = add(builder, CONFIGURATION_KV_BITS);
    if (!item)
        return;
    use_test(
        item,
        test_run(builder, CONFIGURATION_DEPTH / builder->shorten, shortened(builder, CONFIGURATION_STEPS)),
        SWEEP_DECODE_TPS);
    item->own_lab = true;
    item->number = item->engine.kv_bits = bits;
    snprintf(item->id, sizeof item->id, "kv_bits=%u", bits);
    snprintf(item->label, sizeof item->label, "KV cache of %u bits", bits);
}

static struct lab_run chunked_run(const struct builder *builder)
{
    return test_run(builder, CONFIGURATION_CHUNKED / builder->shorten, 0);
}

static void add_prefill_chunk(struct builder *builder, uint32_t tokens)
{
    struct configuration *item = add(builder, CONFIGURATION_PREFILL_CHUNK);
    if (!item)
        return;
    use_test(item, chunked_run(builder), SWEEP_PREFILL_TPS);
    item->own_lab = true;
    item->number = item->engine.prefill_chunk = tokens;
    snprintf(item->id, sizeof item->id, "prefill_chunk=%u", tokens);
    snprintf(item->label, sizeof item->label, "Prefill in chunks of %u", tokens);
}

static void add_prompt_lookup(struct builder *builder, uint32_t tokens)
{
    struct configuration *item = add(builder, CONFIGURATION_PROMPT_LOOKUP);
    if (!item)
        return;
    item->own_lab = true;
    item->number = item->engine.prompt_lookup = tokens;
    snprintf(item->id, sizeof item->id, "prompt_lookup=%u", tokens);
    snprintf(item->label, sizeof item->label, "Up to %u tokens guessed", tokens);
}

static void add_prefix_cache(struct builder *builder)
{
    struct configuration *item = add(builder, CONFIGURATION_PREFIX_CACHE);
    if (!item)
        return;
    use_test(item, test_run(builder, CONFIGURATION_CACHED / builder->shorten, 0), SWEEP_TTFT_MS);
    item->b.warm = true;
    name_it(item, "prefix_cache", "Known prompt (prefix cache)");
}

static void add_isa(struct builder *builder, const char *isa)
{
    struct configuration *item = add(builder, CONFIGURATION_ISA);
    if (!item)
        return;
    item->own_lab = true;
    item->text = item->engine.isa = isa;
    snprintf(item->id, sizeof item->id, "isa=%.24s", isa);
    snprintf(item->label, sizeof item->label, "%.24s instructions", isa);
}

/* ---- which values ---- */

struct values {
    uint32_t items[MAX_VALUES];
    size_t count;
};

static void put(struct values *values, uint32_t value)
{
    for (size_t i = 0; i < values->count; i++)
        if (values->items[i] == value)
            return;
    if (value > 0 && values->count < MAX_VALUES)
        values->items[values->count++] = value;
}

/* Few, because each costs a process and twenty runs: ends and halves. Half of the usable threads is also
 * where the physical cores end on machines with two hardware threads a core; more than the usable ones is
 * never tried, because a quota then stops all of them at once. */
static struct values usual_values(const struct configuration_machine *machine, enum configuration_kind kind)
{
    struct values values = {.count = 0};
    uint32_t threads = machine->usable_threads;
    if (kind == CONFIGURATION_THREADS) {
        put(&values, 1);
        if (threads >= 8)
            put(&values, threads / 4);
        put(&values, threads / 2);
        put(&values, threads);
    } else if (kind == CONFIGURATION_CONCURRENCY) {
        for (uint32_t n = 2; n <= 8; n *= 2)
            put(&values, n);
    } else if (kind == CONFIGURATION_KV_BITS) {
        put(&values, 8);
        put(&values, 16);
    } else if (kind == CONFIGURATION_PREFILL_CHUNK) {
        put(&values, 128);
        put(&values, 256);
        put(&values, 1024);
    } else if (kind == CONFIGURATION_PROMPT_LOOKUP) {
        put(&values, 8);
    }
    return values;
}

static uint32_t baseline_value(const struct engine_info *info, enum configuration_kind kind)
{
    return kind == CONFIGURATION_THREADS         ? info->n_threads
           : kind == CONFIGURATION_CONCURRENCY   ? 1
           : kind == CONFIGURATION_KV_BITS       ? info->kv_bits
           : kind == CONFIGURATION_PREFILL_CHUNK ? info->prefill_chunk
           : kind == CONFIGURATION_PROMPT_LOOKUP ? info->prompt_lookup
                                                 : 0;
}

static void cut(json_t *cuts, const char *id, const char *why)
{
    if (cuts)
        json_array_append_new(cuts, json_sprintf("configuration %s: %s", id, why));
}

static void add_number(struct builder *builder, enum configuration_kind kind, uint32_t value)
{
    if (kind == CONFIGURATION_THREADS)
        add_threads(builder, value);
    else if (kind == CONFIGURATION_CONCURRENCY)
        add_concurrency(builder, value);
    else if (kind == CONFIGURATION_KV_BITS)
        add_kv_bits(builder, value);
    else if (kind == CONFIGURATION_PROMPT_LOOKUP)
        add_prompt_lookup(builder, value);
    else
        add_prefill_chunk(builder, value);
}

/* Two chunks that both take the whole of the test's prompt do the same. */
static bool is_alike(const struct builder *builder, enum configuration_kind kind, uint32_t value,
                     uint32_t same)
{
    uint32_t whole = chunked_run(builder).scenario.prompt_tokens;
    return kind == CONFIGURATION_PREFILL_CHUNK && value >= whole && same >= whole;
}

static void add_numbers(struct builder *builder, enum configuration_kind kind, const char *value,
                        const char *asked)
{
    uint32_t same = baseline_value(builder->machine->baseline, kind);
    struct values values = usual_values(builder->machine, kind);
    if (value) {
        values.count = 0;
        put(&values, (uint32_t)strtoul(value, NULL, 10));
    }
    size_t before = builder->list->count;
    for (size_t i = 0; i < values.count; i++)
        if (values.items[i] != same && !is_alike(builder, kind, values.items[i], same))
            add_number(builder, kind, values.items[i]);
    if (asked && builder->list->count == before)
        cut(builder->cuts, asked, "nothing to compare with: the baseline is the only value here");
}

static void add_isas(struct builder *builder, const char *value, const char *asked)
{
    const char *same = builder->machine->baseline->isa;
    size_t before = builder->list->count;
    bool there = false;
    for (const char *const *isa = builder->machine->isas; *isa; isa++) {
        bool meant = value ? strcmp(value, *isa) == 0 : true;
        there = there || (value && meant);
        /* plain C is what the others are checked against, and nobody's choice; it can be asked for */
        if (!meant || (same && strcmp(same, *isa) == 0) || (!value && strcmp(*isa, "reference") == 0))
            continue;
        add_isa(builder, *isa);
    }
    if (asked && builder->list->count == before)
        cut(builder->cuts, asked,
            value && !there ? "this machine or program has not got it"
                            : "nothing to compare with: the baseline is the only one here");
}

static void add_named(struct builder *builder, size_t name, const char *value, const char *asked)
{
    if (!kind_fits(names[name].kind, builder->machine->baseline->backend)) {
        if (asked)
            cut(builder->cuts, asked, "the backend of this run has no such choice");
        return;
    }
    switch (names[name].kind) {
    case CONFIGURATION_BASELINE:
        break; /* always the first */
    case CONFIGURATION_TEMPERATURE:
    case CONFIGURATION_LENGTH:
        if (value)
            add_temperature(builder, value);
        else
            add_of_seed(builder, names[name].name, names[name].kind);
        break;
    case CONFIGURATION_PREFIX_CACHE:
        add_prefix_cache(builder);
        break;
    case CONFIGURATION_ISA:
        add_isas(builder, value, asked);
        break;
    default:
        add_numbers(builder, names[name].kind, value, asked);
    }
}

/* "threads" and "threads=1" may both be asked for. */
static void drop_doubles(struct configuration_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t k = 0;
        while (k < kept && strcmp(list->items[k].id, list->items[i].id) != 0)
            k++;
        if (k == kept)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

void configuration_list_build(const struct configuration_machine *machine,
                              const struct profile_request *request, uint32_t shorten, json_t *cuts,
                              struct configuration_list *out)
{
    struct builder builder = {
        .machine = machine, .request = request, .shorten = shorten, .cuts = cuts, .list = out};
    out->count = 0;
    if (!request->all_configurations && request->n_configurations == 0)
        return;
    add_of_seed(&builder, "baseline", CONFIGURATION_BASELINE);
    for (size_t name = 0; name < N_NAMES; name++) {
        if (request->all_configurations && names[name].kind != CONFIGURATION_PROMPT_LOOKUP)
            add_named(&builder, name, NULL, NULL);
        for (size_t i = 0; !request->all_configurations && i < request->n_configurations; i++) {
            const char *value;
            if (find_name(request->configurations[i], &value) != (int)name)
                continue;
            add_named(&builder, name, value, request->configurations[i]);
        }
    }
    drop_doubles(out);
}
