/* Published checkpoints and MLX's differ in little: experts lie one by one, not stacked; tables of rotary
 * frequencies are stored that everybody computes; a tied head may be there twice. */
#include "convert/list.h"

#include <stdlib.h>
#include <string.h>

struct lister {
    struct convert_list *list;
    const struct checkpoint *checkpoint;
    const struct recipe *recipe;
    int dtype;
    bool tied, wrapped;
    bool stacked; /* the family's experts are named as others name single ones, and lie in stacks */
    uint32_t n_experts;
    struct error *error;
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static const char *dtype_name(enum scalar_type type)
{
    return type == SCALAR_F32 ? "F32" : type == SCALAR_F16 ? "F16" : "BF16";
}

/* ---- adding an output ---- */

static int grow(struct convert_list *list, struct error *error)
{
    if (list->count < list->capacity)
        return 0;
    uint32_t capacity = list->capacity ? 2 * list->capacity : 256;
    struct output_tensor *outputs = realloc(list->outputs, capacity * sizeof *outputs);
    if (outputs)
        list->outputs = outputs;
    struct made_of *made_of = realloc(list->made_of, capacity * sizeof *made_of);
    if (made_of)
        list->made_of = made_of;
    if (!outputs || !made_of)
        return error_memory(error, "the list of tensors", capacity * sizeof *made_of);
    list->capacity = capacity;
    return 0;
}

/* shape: [n_dims] of the whole output; its last extent and row_bytes are of one row. */
static int add(struct lister *lister, const char *module, const char *suffix, const char *dtype,
               const struct made_of *made_of, const uint64_t *shape, uint32_t n_dims, uint64_t row_bytes)
{
    struct convert_list *list = lister->list;
    int status = grow(list, lister->error);
    if (status)
        return status;
    char *name = arena_printf(list->arena, "%s%s", module, suffix);
    if (!name)
        return error_memory(lister->error, "tensor names", strlen(module));
    struct output_tensor *output = &list->outputs[list->count];
    *output = (struct output_tensor){.name = name,
                                     .dtype = dtype,
                                     .n_dims = n_dims,
                                     .rows = made_of->n_sources * made_of->rows,
                                     .row_bytes = row_bytes};
    memcpy(output->dims, shape, n_dims * sizeof *shape);
    list->made_of[list->count++] = *made_of;
    return 0;
}

/* Its rows are decoded. */
static void note_row(struct convert_list *list, const struct made_of *made_of)
{
    if (made_of->cols > list->longest_row)
        list->longest_row = (uint32_t)made_of->cols;
}

/* ---- plain tensors ---- */

static int add_plain(struct lister *lister, const char *name, const struct made_of *as, const uint64_t *shape,
                     uint32_t n_dims)
{
    struct made_of made_of = *as;
    made_of.part = PART_PLAIN;
    if (made_of.from != made_of.to)
        note_row(lister->list, &made_of);
    return add(lister, name, "", dtype_name(made_of.to), &made_of, shape, n_dims,
               made_of.cols * scalar_size(made_of.to));
}

/* ---- matrices ---- */

static int add_matrix(struct lister *lister, const char *module, const struct code_format *format,
                      const struct made_of *as, const uint64_t *shape, uint32_t n_dims)
{
    struct convert_list *list = lister->list;
    struct made_of made_of = *as;
    uint64_t dims[TENSOR_MAX_DIMS], groups = made_of.cols / format->group_size;
    bool affine = format->format == WEIGHT_AFFINE;
    const char *side = affine ? dtype_name(made_of.to) : "U8";
    uint64_t side_row = groups * (affine ? scalar_size(made_of.to) : 1);
    memcpy(dims, shape, n_dims * sizeof *dims);
    made_of.format = *format;
    made_of.part = PART_CODES;
    note_row(list, &made_of);
    dims[n_dims - 1] = made_of.cols * format->bits / 32;
    int status =
        add(lister, module, ".weight", "U32", &made_of, dims, n_dims, made_of.cols * format->bits / 8);
    dims[n_dims - 1] = groups;
    made_of.part = PART_SCALES;
    if (!status)
        status = add(lister, module, ".scales", side, &made_of, dims, n_dims, side_row);
    made_of.part = PART_BIASES;
    if (!status && affine)
        status = add(lister, module, ".biases", side, &made_of, dims, n_dims, side_row);
    uint64_t bytes = made_of.n_sources * made_of.rows * side_row;
    if (bytes > list->side_bytes)
        list->side_bytes = bytes;
    return status;
}

static bool same_format(const struct code_format *a, const struct code_format *b)
{
    return a->format == b->format && a->bits == b->bits && a->group_size == b->group_size;
}

/* config.json says of a module what is not so for all. */
static int note_format(struct lister *lister, const char *module, const struct code_format *format)
{
    json_t *said = lister->list->quantization;
    if (!said || same_format(format, &lister->recipe->base) || format->format == WEIGHT_DENSE)
        return 0; /* a dense one has no scales, which says enough */
    if (json_object_set_new(said, module, recipe_json(format)))
        return error_memory(lister->error, "config.json", 0);
    return 0;
}

/* One tensor, or a stack of alike ones, under this name. */
static int place(struct lister *lister, const char *name, const struct tensor **sources, uint32_t n_sources,
                 bool stacked)
{
    const struct tensor *source = sources[0];
    struct convert_list *list = lister->list;
    struct made_of made_of = {.sources = sources, .n_sources = n_sources, .rows = 1, .cols = 1};
    if (!tensor_scalar(source->type, &made_of.from))
        return error_set(lister->error, ERROR_UNSUPPORTED,
                         "tensor %.200s is of type %s; only F32, F16 and BF16 can be converted", source->name,
                         tensor_type_name(source->type));
    made_of.to = lister->dtype < 0 ? made_of.from : (enum scalar_type)lister->dtype;
    uint64_t shape[TENSOR_MAX_DIMS + 1];
    uint32_t n_dims = 0;
    if (stacked)
        shape[n_dims++] = n_sources;
    for (uint32_t d = 0; d < source->n_dims; d++) {
        shape[n_dims++] = source->shape[d];
        *(d + 1 < source->n_dims ? &made_of.rows : &made_of.cols) *= source->shape[d];
    }
    if (made_of.cols > SPEC_MAX_VOCAB || n_dims > OUTPUT_MAX_DIMS)
        return error_set(lister->error, ERROR_LIMIT, "tensor %.200s is larger than any that a model has",
                         source->name);
    list->parameters += n_sources * made_of.rows * made_of.cols;
    list->source_bytes += n_sources * source->bytes;

    bool experts = source->n_dims == 3 && (lister->stacked || strstr(name, ".switch_mlp.")); /* already */
    if ((source->n_dims != 2 && !experts) || !ends_with(name, ".weight"))
        return add_plain(lister, name, &made_of, shape, n_dims);
    char *module = arena_strdup(list->arena, name);
    if (!module)
        return error_memory(lister->error, "tensor names", strlen(name));
    module[strlen(name) - strlen(".weight")] = 0;
    struct code_format format = recipe_of(lister->recipe, module, made_of.cols);
    int status = note_format(lister, module, &format);
    if (status)
        return status;
    return format.format == WEIGHT_DENSE ? add_plain(lister, name, &made_of, shape, n_dims)
                                         : add_matrix(lister, module, &format, &made_of, shape, n_dims);
}

/* ---- experts ---- */

/* Where experts lie one by one, the stack that they become, and what its parts are called there. */
static const struct experts_names {
    const char *single, *stack;
    const char *const renamed[3][2]; /* from, to; none where they keep their names */
} experts_names[] = {
    {".mlp.experts.", ".mlp.switch_mlp", {{NULL, NULL}}},
    {".block_sparse_moe.experts.",
     ".block_sparse_moe.switch_mlp",
     {{".w1.", ".gate_proj."}, {".w2.", ".down_proj."}, {".w3.", ".up_proj."}}},
};

/* ".w1.weight" -> ".gate_proj.weight". NULL: memory. */
static const char *rename_part(struct arena *arena, const struct experts_names *names, const char *part)
{
    for (size_t i = 0; i < 3 && names->renamed[i][0]; i++)
        if (strncmp(part, names->renamed[i][0], strlen(names->renamed[i][0])) == 0)
            return arena_printf(arena, "%s%s", names->renamed[i][1], part + strlen(names->renamed[i][0]));
    return part;
}

/* "model.layers.3.mlp.experts.0.up_proj.weight" starts a stack; those of the other experts are found by it.
 */
static int place_experts(struct lister *lister, const struct experts_names *names, const struct tensor *first,
                         const char *at)
{
    struct arena *arena = lister->list->arena;
    const char *number = at + strlen(names->single), *end = number + strspn(number, "0123456789");
    if (end == number || end - number > 4 || (*number == '0' && end != number + 1) || *end != '.')
        return error_set(lister->error, ERROR_INVALID, "tensor %.200s: an expert has a number", first->name);
    unsigned long expert = strtoul(number, NULL, 10);
    if (expert >= lister->n_experts)
        return error_set(lister->error, ERROR_INVALID, "tensor %.200s: config.json has %u experts",
                         first->name, lister->n_experts);
    int before = (int)(at - first->name);
    if (expert != 0) { /* it belongs to the stack that number 0 has started, or to none */
        char *zeroth = arena_printf(arena, "%.*s%s0%s", before, first->name, names->single, end);
        if (!zeroth)
            return error_memory(lister->error, "tensor names", strlen(first->name));
        return checkpoint_find(lister->checkpoint, zeroth)
                   ? 0
                   : error_set(lister->error, ERROR_INVALID, "there is no tensor %.200s", zeroth);
    }
    const struct tensor **sources = arena_alloc(arena, lister->n_experts, sizeof *sources);
    const char *part = rename_part(arena, names, end);
    char *name = part ? arena_printf(arena, "%.*s%s%s", before, first->name, names->stack, part) : NULL;
    if (!sources || !name)
        return error_memory(lister->error, "the list of experts", lister->n_experts * sizeof *sources);
    for (uint32_t i = 0; i < lister->n_experts; i++) {
        char other[SAFETENSORS_MAX_NAME + 16];
        snprintf(other, sizeof other, "%.*s%s%u%s", before, first->name, names->single, i, end);
        sources[i] = checkpoint_find(lister->checkpoint, other);
        if (!sources[i])
            return error_set(lister->error, ERROR_INVALID, "there is no tensor %.200s", other);
        if (sources[i]->type != first->type || sources[i]->n_dims != first->n_dims ||
            memcmp(sources[i]->shape, first->shape, first->n_dims * sizeof *first->shape) != 0)
            return error_set(lister->error, ERROR_INVALID, "tensor %.200s is not like that of expert 0",
                             other);
    }
    return place(lister, name, sources, lister->n_experts, true);
}

/* The name under which MLX's checkpoint of a wrapped language model has a tensor, which is its own where
 * nothing is wrapped; NULL: memory. transformers 4.52 moved "language_model.model.X" to
 * "model.language_model.X", and the head out of it. */
static const char *name_of(const struct lister *lister, const struct tensor *tensor)
{
    static const char newer[] = "model.language_model.";
    struct arena *arena = lister->list->arena;
    const char *name = tensor->name, *prefix = MODEL_CONFIG_TEXT_PREFIX;
    if (!lister->wrapped || strncmp(name, prefix, strlen(prefix)) == 0)
        return name;
    if (strncmp(name, newer, strlen(newer)) == 0)
        return arena_printf(arena, "%smodel.%s", prefix, name + strlen(newer));
    return arena_printf(arena, "%s%s", prefix, name);
}

/* What no text goes through, and what everybody computes. */
static bool is_left_out(const struct lister *lister, const struct tensor *tensor)
{
    for (const char *const *part = model_config_other_parts; lister->wrapped && *part; part++)
        if (strstr(tensor->name, *part))
            return true;
    return strstr(tensor->name, "rotary_emb.inv_freq") ||
           (lister->tied && ends_with(tensor->name, "lm_head.weight"));
}

static int place_tensor(struct lister *lister, const struct tensor *tensor)
{
    if (is_left_out(lister, tensor))
        return 0;
    for (size_t i = 0; i < sizeof experts_names / sizeof *experts_names; i++) {
        const char *experts = strstr(tensor->name, experts_names[i].single);
        if (experts && !lister->stacked)
            return place_experts(lister, &experts_names[i], tensor, experts);
    }
    const char *name = name_of(lister, tensor);
    const struct tensor **source = arena_alloc(lister->list->arena, 1, sizeof *source);
    if (!source || !name)
        return error_memory(lister->error, "the list of tensors", sizeof *source);
    *source = tensor;
    return place(lister, name, source, 1, false);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "X.weight" beside "X.scales", or experts both stacked and not: two tensors would get one name. */
static int check_names(const struct convert_list *list, struct error *error)
{
    const char **names = calloc(list->count ? list->count : 1, sizeof *names);
    if (!names)
        return error_memory(error, "tensor names", list->count * sizeof *names);
    int status = 0;
    for (uint32_t i = 0; i < list->count; i++)
        names[i] = list->outputs[i].name;
    qsort(names, list->count, sizeof *names, by_text);
    for (uint32_t i = 1; i < list->count && !status; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            status =
                error_set(error, ERROR_INVALID, "the model has %.200s twice, in different forms", names[i]);
    free(names);
    return status;
}

int list_build(struct convert_list *list, const struct checkpoint *checkpoint,
               const struct model_config *model, const struct recipe *recipe, int dtype, struct error *error)
{
    int status = 0;
    struct lister lister = {.list = list,
                            .checkpoint = checkpoint,
                            .recipe = recipe,
                            .dtype = dtype,
                            .tied = model->spec.tied == TIED_YES,
                            .wrapped = model->wrapper != NULL,
                            .stacked = strcmp(model->family->model_type, "gpt_oss") == 0,
                            .n_experts = model->spec.experts.n_experts,
                            .error = error};
    if (recipe->base.format != WEIGHT_DENSE) {
        list->quantization = recipe_json(&recipe->base);
        if (!list->quantization)
            return error_memory(error, "config.json", 0);
    }
    for (uint32_t i = 0; i < checkpoint->n_tensors && !status; i++)
        status = place_tensor(&lister, &checkpoint->tensors[i]);
    return status ? status : check_names(list, error);
}

bool list_has_head(const struct convert_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (ends_with(list->outputs[i].name, "lm_head.weight"))
            return true;
    return false;
}

void list_free(struct convert_list *list)
{
    free(list->outputs);
    free(list->made_of);
    json_decref(list->quantization);
    *list = (struct convert_list){0};
}
