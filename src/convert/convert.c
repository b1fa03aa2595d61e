/* In order: read what the source is, list what will be written (which gives the sizes), make sure there is
 * room, copy the texts, write the weights, write config.json, and open the result as any reader would.
 *
 * Rows are independent, so threads take blocks of them. A matrix's codes, scales and biases are made in one
 * pass over its numbers: the codes go to the file as they come, scales and biases wait in memory until the
 * codes are written. */
#include "convert/convert.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/threads.h"
#include "convert/list.h"
#include "convert/text_files.h"
#include "model/config.h"
#include "model/json_file.h"
#include "model/model.h"
#include "model/shape.h"
#include "output/folder.h"
#include "output/json.h"
#include "platform/cpu.h"

enum { BLOCK_NUMBERS = 1 << 17 }; /* of a piece of work: half a megabyte as f32, a millisecond or less */
static const uint64_t OTHER_FILES_BYTES = 64 << 20;

struct conversion {
    const struct convert_options *options;
    const char *source;
    json_t *config;
    struct model_config model; /* config, read; in the arena */
    struct recipe recipe;
    struct convert_list list;
    struct checkpoint checkpoint;
    struct output_folder folder;
};

struct converter {
    const struct convert_list *list;
    struct threads *threads;
    float *rows; /* [n_threads, longest_row] */
    uint8_t *scales, *biases;
    convert_progress progress;
    void *context;
    /* the piece of the output that is being made */
    const struct made_of *made_of;
    const struct output_tensor *output;
    uint64_t first, count, block_rows;
    uint8_t *out;
    atomic_bool broken; /* a number is not finite */
};

/* ---- rows ---- */

static const uint8_t *source_row(const struct made_of *made_of, uint64_t row, uint64_t row_bytes)
{
    return made_of->sources[row / made_of->rows]->data + row % made_of->rows * row_bytes;
}

static void make_row(struct converter *converter, uint64_t row, float *numbers)
{
    const struct made_of *made_of = converter->made_of;
    uint64_t row_bytes = converter->output->row_bytes, cols = made_of->cols;
    uint8_t *out = converter->out + (row - converter->first) * row_bytes;
    if (made_of->part == PART_PLAIN && made_of->from == made_of->to) {
        memcpy(out, source_row(made_of, row, row_bytes), row_bytes);
        return;
    }
    numbers_read(made_of->from, source_row(made_of, row, cols * scalar_size(made_of->from)), cols, numbers);
    if (made_of->part == PART_PLAIN) {
        numbers_write(made_of->to, numbers, cols, out);
        return;
    }
    if (made_of->from != made_of->to)
        numbers_round(made_of->to, numbers, cols); /* what is coded are numbers of the output's type */
    uint64_t side = cols / made_of->format.group_size *
                    (made_of->format.format == WEIGHT_AFFINE ? scalar_size(made_of->to) : 1);
    if (!quantize_row(&made_of->format, made_of->to, numbers, (uint32_t)cols, out,
                      converter->scales + row * side, converter->biases + row * side))
        atomic_store(&converter->broken, true);
}

static void make_rows(void *context, uint32_t thread, uint32_t round)
{
    struct converter *converter = context;
    uint32_t piece;
    while (stages_claim(converter->threads, 0, round, &piece) == STAGE_CLAIMED) {
        float *numbers = converter->rows + (size_t)thread * converter->list->longest_row;
        uint64_t row = converter->first + piece * converter->block_rows;
        uint64_t end = converter->first + converter->count;
        if (end - row > converter->block_rows)
            end = row + converter->block_rows;
        for (; row < end; row++)
            make_row(converter, row, numbers);
        stages_finish(converter->threads, 0);
    }
}

/* ---- what output_shards asks for ---- */

static int fill(void *context, uint32_t tensor, uint64_t first, uint64_t count, uint8_t *out,
                struct error *error)
{
    struct converter *converter = context;
    const struct made_of *made_of = &converter->list->made_of[tensor];
    const struct output_tensor *output = &converter->list->outputs[tensor];
    if (made_of->part == PART_SCALES || made_of->part == PART_BIASES) {
        const uint8_t *side = made_of->part == PART_SCALES ? converter->scales : converter->biases;
        memcpy(out, side + first * output->row_bytes, count * output->row_bytes);
        return 0;
    }
    converter->made_of = made_of;
    converter->output = output;
    converter->first = first;
    converter->count = count;
    converter->out = out;
    converter->block_rows = made_of->cols < BLOCK_NUMBERS ? BLOCK_NUMBERS / made_of->cols : 1;
    uint32_t pieces = (uint32_t)((count + converter->block_rows - 1) / converter->block_rows);
    threads_run(converter->threads, &pieces);
    if (atomic_load(&converter->broken))
        return error_set(error, ERROR_INVALID,
                         "tensor %.200s has a number that is not finite, or too large to be coded",
                         output->name);
    return 0;
}

static bool on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct converter *converter = context;
    return !converter->progress || converter->progress(converter->context, done_bytes, total_bytes);
}

static int write_weights(const struct output_folder *folder, const struct convert_list *list,
                         uint32_t n_threads, convert_progress progress, void *context,
                         struct convert_report *report, struct error *error)
{
    struct converter converter = {.list = list, .progress = progress, .context = context};
    const struct output_source source = {.tensors = list->outputs,
                                         .n_tensors = list->count,
                                         .parameters = list->parameters,
                                         .fill = fill,
                                         .progress = on_progress,
                                         .context = &converter};
    size_t row_bytes = (size_t)n_threads * list->longest_row * sizeof(float);
    *report = (struct convert_report){.parameters = list->parameters,
                                      .source_bytes = list->source_bytes,
                                      .tensor_bytes = output_bytes(&source),
                                      .n_threads = n_threads};
    int status = folder_check_space(folder, report->tensor_bytes + OTHER_FILES_BYTES, error);
    if (status)
        return status;
    converter.rows = malloc(row_bytes ? row_bytes : 1);
    converter.scales = malloc(list->side_bytes ? list->side_bytes : 1);
    converter.biases = malloc(list->side_bytes ? list->side_bytes : 1);
    if (!converter.rows || !converter.scales || !converter.biases)
        status = error_memory(error, "scales and biases", row_bytes + 2 * list->side_bytes);
    if (!status)
        status = threads_open(n_threads, 1, make_rows, &converter, &converter.threads, error);
    if (!status)
        status = output_shards(folder, &source, OUTPUT_SHARD_BYTES, &report->n_files, error);
    threads_close(converter.threads);
    free(converter.rows);
    free(converter.scales);
    free(converter.biases);
    return status;
}

/* ---- config.json ---- */

static const char *const dtypes[] = {
    [SCALAR_F32] = "float32", [SCALAR_F16] = "float16", [SCALAR_BF16] = "bfloat16"};

static int dtype_of(const char *name)
{
    for (size_t i = 0; name && i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(name, dtypes[i]) == 0)
            return (int)i;
    return -1;
}

/* NULL for null, too. */
static const json_t *find_said(const json_t *object, const char *key)
{
    const struct json_fields fields = {.object = object};
    return json_fields_get(&fields, key);
}

/* mlx-lm looks in these two places and no others. NULL: nothing is said. */
static const char *said_dtype(const json_t *config)
{
    const json_t *said = find_said(config, "torch_dtype"), *text = model_config_text(config);
    if (!said && text != config)
        said = find_said(text, "dtype");
    return json_string_value(said);
}

/* -1: as each tensor has it. */
static int choose_dtype(const struct convert_options *options, const json_t *config, int *out,
                        struct error *error)
{
    *out = dtype_of(options->dtype);
    if (options->dtype && *out < 0)
        return error_set(error, ERROR_INVALID, "dtype %.40s: there are bfloat16, float16 and float32",
                         options->dtype);
    if (*out < 0)
        *out = dtype_of(said_dtype(config));
    return 0;
}

/* In every place that names one, and where mlx-lm looks first. */
static int set_dtype(json_t *config, json_t *text, const char *dtype)
{
    static const char *const keys[] = {"torch_dtype", "dtype"};
    int failed = json_object_set_new(config, keys[0], json_string(dtype));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (find_said(config, keys[i]))
            failed = json_object_set_new(config, keys[i], json_string(dtype)) || failed;
        if (find_said(text, keys[i]))
            failed = json_object_set_new(text, keys[i], json_string(dtype)) || failed;
    }
    return failed;
}

/* mlx-lm writes it twice, and so do we: its older readers look for the second. */
static int set_quantization(json_t *config, json_t *quantization)
{
    return json_object_set(config, "quantization", quantization) ||
           json_object_set(config, "quantization_config", quantization);
}

/* Where the language model's fields are silent and readers are not of one mind. */
static int break_silence(json_t *text, const struct model_config *model, bool own_head)
{
    int failed = 0;
    if (!find_said(text, "tie_word_embeddings"))
        failed = json_object_set_new(text, "tie_word_embeddings", json_boolean(!own_head));
    if (!find_said(text, "model_type"))
        failed = json_object_set_new(text, "model_type", json_string(model->family->model_type)) || failed;
    return failed;
}

/* A copy that failed is NULL, which jansson's setters refuse. */
static int write_config(const struct conversion *conversion, struct error *error)
{
    const struct convert_list *list = &conversion->list;
    const char *dtype = conversion->options->dtype;
    json_t *config = json_deep_copy(conversion->config);
    json_t *text = conversion->model.wrapper ? json_object_get(config, "text_config") : config;
    int failed = break_silence(text, &conversion->model, list_has_head(list));
    if (list->quantization)
        failed = set_quantization(config, list->quantization) || failed;
    if (dtype)
        failed = set_dtype(config, text, dtype) || failed;
    if (failed) {
        json_decref(config);
        return error_memory(error, "config.json", 0);
    }
    json_object_del(config, "_name_or_path");
    return output_json(&conversion->folder, "config.json", config, true, error);
}

/* ---- the whole ---- */

static int check_source(const json_t *config, struct error *error)
{
    struct model *shape = NULL;
    if (json_is_object(json_object_get(config, "quantization")) ||
        json_is_object(json_object_get(config, "quantization_config")))
        return error_set(error, ERROR_INVALID,
                         "the model is quantized already; convert the one that it was made of");
    int status = model_shape_compile(config, "source", &shape, error);
    model_close(shape);
    return status;
}

static int check_result(const struct output_folder *folder, struct error *error)
{
    struct model *model = NULL;
    struct error own = {0};
    int status = model_open(folder->partial, &model, &own);
    model_close(model);
    return status
               ? error_set(error, status, "what was written is no model that can be run: %.400s", own.message)
               : 0;
}

static int read_source(struct conversion *conversion, struct arena *arena, struct error *error)
{
    int dtype = -1;
    int status = model_shape_read(conversion->source, &conversion->config, error);
    if (!status)
        status = check_source(conversion->config, error);
    if (!status)
        status = model_config_read(conversion->config, arena, &conversion->model, error);
    if (!status)
        status = recipe_read(conversion->options, &conversion->model, &conversion->recipe, error);
    if (!status)
        status = choose_dtype(conversion->options, conversion->config, &dtype, error);
    if (!status)
        status = checkpoint_open(&conversion->checkpoint, conversion->source, arena, error);
    conversion->list.arena = arena;
    if (!status)
        status = list_build(&conversion->list, &conversion->checkpoint, &conversion->model,
                            &conversion->recipe, dtype, error);
    return status;
}

static int write_target(struct conversion *conversion, const char *target, convert_progress progress,
                        void *context, struct convert_report *report, struct error *error)
{
    const struct convert_options *options = conversion->options;
    uint32_t n_threads = options->n_threads ? options->n_threads : cpu_usable_threads();
    int status = folder_begin(&conversion->folder, target, error);
    if (!status)
        status = text_files_copy(&conversion->folder, conversion->source, error);
    if (!status)
        status = write_weights(&conversion->folder, &conversion->list, n_threads, progress, context, report,
                               error);
    if (!status)
        status = write_config(conversion, error);
    if (!status)
        status = check_result(&conversion->folder, error);
    if (!status)
        status = folder_commit(&conversion->folder, error);
    if (status)
        folder_abandon(&conversion->folder);
    return status;
}

int convert_model(const struct convert_options *options, const char *source, const char *target,
                  convert_progress progress, void *context, struct convert_report *report,
                  struct error *error)
{
    struct conversion conversion = {.options = options, .source = source, .folder = {.lock = -1}};
    struct convert_report own;
    struct arena arena;
    arena_init(&arena);
    int status = read_source(&conversion, &arena, error);
    if (!status)
        status = write_target(&conversion, target, progress, context, report ? report : &own, error);
    list_free(&conversion.list);
    checkpoint_close(&conversion.checkpoint);
    json_decref(conversion.config);
    arena_free(&arena);
    return status;
}
