/* `llmind show`: what a model is made of, read from its files without running it. */
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "model/model.h"
#include "plan/plan.h"
#include "profile/format.h"
#include "profile/table.h"
#include "service/catalog.h"

enum { OPTION_JSON = 300, OPTION_PLAN, KV_BITS = 16 };

static const struct cli_option options[] = {
    {OPTION_PLAN, 0, "plan", NULL, "every operation with its weight's shape, format and bytes"},
    {OPTION_JSON, 0, "json", NULL, "one JSON object instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "show",
    .arguments = "MODEL [--plan] [--json]",
    .about =
        "Shows architecture, quantization and size of a model, what its plan is made of, and what one token\n"
        "costs: bytes read and operations, by the plan's own account. Nothing is run.",
    .options = options,
    .min_positional = 1,
    .max_positional = 1,
    .examples = "  llmind show builtin\n"
                "  llmind show mlx-community/Qwen3-0.6B-4bit --plan\n"
                "  llmind show ./my-model --json\n"};

/* One decode step at an empty context. */
static const struct plan_step first_token = {
    .n_tokens = 1, .n_outputs = 1, .n_sequences = 1, .context = 0, .kv_bits = KV_BITS};

/* The weights an operation names; experts have three. */
static uint32_t weights_of(const struct plan_op *op, const struct weight *out[3])
{
    uint32_t n = 0;
    if (op->kind == PLAN_EMBED)
        out[n++] = op->embed.weight;
    else if (op->kind == PLAN_LINEAR)
        out[n++] = op->linear.weight;
    else if (op->kind == PLAN_EXPERTS) {
        out[n++] = op->experts.gate;
        out[n++] = op->experts.up;
        out[n++] = op->experts.down;
    }
    return n;
}

static void describe_shape(const struct plan_op *op, const struct weight *weight, char *out, size_t capacity)
{
    if (!weight)
        snprintf(out, capacity, "%u", op->out.width);
    else if (weight->n_experts > 1)
        snprintf(out, capacity, "%u × %u × %u", weight->n_experts, weight->rows, weight->cols);
    else
        snprintf(out, capacity, "%u × %u", weight->rows, weight->cols);
}

/* ---- text ---- */

static void print_kinds(const struct plan *plan, enum table_style style)
{
    struct table table;
    table_init(&table, "lrrr");
    static const char *const heading[] = {"operation", "count", "weights/token", "FLOP/token"};
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (int kind = 0; kind < PLAN_OP_KINDS; kind++) {
        uint32_t count = 0;
        struct plan_cost sum = {0};
        for (uint32_t i = 0; i < plan->n_ops; i++) {
            if (plan->ops[i].kind != (enum plan_op_kind)kind)
                continue;
            struct plan_cost cost = plan_op_cost(plan, &plan->ops[i], &first_token);
            sum.weight_bytes += cost.weight_bytes;
            sum.flops += cost.flops;
            count++;
        }
        if (!count)
            continue;
        char number[FORMAT_MAX];
        table_cell(&table, "%s", plan_op_kind_name((enum plan_op_kind)kind));
        table_cell(&table, "%u", count);
        table_cell(&table, "%s", format_bytes(number, sum.weight_bytes));
        table_cell(&table, "%s", format_count(number, sum.flops));
    }
    table_print(&table, stdout, style, 2);
    table_free(&table);
}

static void print_plan(const struct plan *plan, enum table_style style)
{
    struct table table;
    table_init(&table, "rllrlr");
    static const char *const heading[] = {"#", "name", "operation", "shape", "format", "bytes"};
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        const struct weight *weights[3] = {NULL, NULL, NULL};
        uint32_t n = weights_of(op, weights);
        uint64_t bytes = 0;
        for (uint32_t k = 0; k < n; k++)
            bytes += weight_bytes(weights[k]);
        char shape[64], format[64] = "-", number[FORMAT_MAX];
        describe_shape(op, weights[0], shape, sizeof shape);
        if (n)
            weight_describe(weights[0], format, sizeof format);
        table_cell(&table, "%u", i);
        table_cell(&table, "%s", op->name);
        table_cell(&table, "%s", plan_op_kind_name(op->kind));
        table_cell(&table, "%s", shape);
        table_cell(&table, "%s", format);
        table_cell(&table, "%s", bytes ? format_bytes(number, (double)bytes) : "-");
    }
    table_print(&table, stdout, style, 2);
    table_free(&table);
}

static void print_text(const char *name, const struct model *model, bool with_plan)
{
    const struct model_info *info = model_info(model);
    const struct plan *plan = model_plan(model);
    bool color = terminal_has_color(stdout);
    enum table_style style = color ? TABLE_TEXT_COLOR : TABLE_TEXT;
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], d[FORMAT_MAX];
    struct plan_cost cost = plan_step_cost(plan, &first_token);
    uint64_t kv = plan_kv_bytes_per_token(plan, KV_BITS);
    printf("%s%s%s  %s\n", color ? "\x1b[1;36m" : "", name, color ? "\x1b[0m" : "", info->path);
    printf("  architecture   %s (family %s), %u layers, hidden %u, vocabulary %u\n", info->architecture,
           plan->family, plan->n_layers, plan->hidden, plan->vocab);
    printf("  quantization   %s\n", info->quantization);
    printf("  parameters     %s\n", format_count(a, (double)info->parameters));
    printf("  size           %s of weights used, %s of files\n", format_bytes(a, (double)info->weight_bytes),
           format_bytes(b, (double)info->file_bytes));
    printf("  context        %u tokens\n", info->context);
    printf("  one token      reads %s of weights and %s of KV cache per token of context; %s floating-point "
           "operations\n",
           format_bytes(a, cost.weight_bytes), format_bytes(b, (double)kv), format_count(c, cost.flops));
    printf("  KV cache       %s for a full context of %u tokens (f16)\n\n",
           format_bytes(d, (double)kv * info->context), info->context);
    if (with_plan)
        print_plan(plan, style);
    else
        print_kinds(plan, style);
}

/* ---- JSON ---- */

static json_t *op_json(const struct plan *plan, const struct plan_op *op)
{
    struct plan_cost cost = plan_op_cost(plan, op, &first_token);
    json_t *o = json_pack("{s:s, s:s, s:i, s:f, s:f}", "name", op->name, "operation",
                          plan_op_kind_name(op->kind), "layer", (int)op->layer, "weight_bytes_per_token",
                          cost.weight_bytes, "flops_per_token", cost.flops);
    const struct weight *weights[3];
    uint32_t n = weights_of(op, weights);
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) {
        char format[64];
        weight_describe(weights[i], format, sizeof format);
        json_array_append_new(list, json_pack("{s:s, s:s, s:[I, I, I], s:I}", "name", weights[i]->name,
                                              "format", format, "shape", (json_int_t)weights[i]->n_experts,
                                              (json_int_t)weights[i]->rows, (json_int_t)weights[i]->cols,
                                              "bytes", (json_int_t)weight_bytes(weights[i])));
    }
    json_object_set_new(o, "weights", list);
    return o;
}

static void print_json(const char *name, const struct model *model, bool with_plan)
{
    const struct model_info *info = model_info(model);
    const struct plan *plan = model_plan(model);
    struct plan_cost cost = plan_step_cost(plan, &first_token);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:f, s:f, s:I}}",
                          "name", name, "path", info->path, "architecture", info->architecture, "family",
                          plan->family, "quantization", info->quantization, "parameters",
                          (json_int_t)info->parameters, "weight_bytes", (json_int_t)info->weight_bytes,
                          "file_bytes", (json_int_t)info->file_bytes, "context", (json_int_t)info->context,
                          "layers", (json_int_t)plan->n_layers, "hidden", (json_int_t)plan->hidden, "vocab",
                          (json_int_t)plan->vocab, "per_token", "weight_bytes", cost.weight_bytes, "flops",
                          cost.flops, "kv_bytes", (json_int_t)plan_kv_bytes_per_token(plan, KV_BITS));
    if (!o) {
        fprintf(stderr,
                "llmind show: a name in this model is not valid UTF-8, so it cannot be shown as JSON\n");
        return;
    }
    json_t *kinds = json_object();
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const char *kind = plan_op_kind_name(plan->ops[i].kind);
        json_int_t so_far = json_integer_value(json_object_get(kinds, kind));
        json_object_set_new(kinds, kind, json_integer(so_far + 1));
    }
    json_object_set_new(o, "operations", kinds);
    if (with_plan) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < plan->n_ops; i++)
            json_array_append_new(list, op_json(plan, &plan->ops[i]));
        json_object_set_new(o, "plan", list);
    }
    char *text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    if (text)
        puts(text);
    free(text);
    json_decref(o);
}

int cli_show(int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false, with_plan = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        json = json || id == OPTION_JSON;
        with_plan = with_plan || id == OPTION_PLAN;
    }
    if (id < 0)
        return cli_leave(&parser, id);
    const char *name = parser.positional[0];
    struct error error = {0};
    char folder[PATH_MAX];
    struct model *model = NULL;
    int status = catalog_resolve(name, folder, sizeof folder, &error);
    if (!status)
        status = model_open(folder, &model, &error);
    if (status)
        return cli_failed("show", &error);
    if (json)
        print_json(name, model, with_plan);
    else
        print_text(name, model, with_plan);
    model_close(model);
    return CLI_EXIT_OK;
}
