#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "model/adapter.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "model/describe.h"
#include "model/families/families.h"
#include "model/generation.h"
#include "model/json_file.h"
#include "model/quantization.h"
#include "model/shape.h"
#include "model/spec.h"
#include "model/weights.h"
#include "model/weights_shape.h"
#include "platform/file.h"

struct model {
    struct arena arena;
    struct checkpoint checkpoint;
    struct plan plan;
    struct model_info info;
    struct model_generation generation;
};

/* The last part of a path, without slashes at its end. */
static char *folder_name(struct arena *arena, const char *folder)
{
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && folder[start - 1] != '/')
        start--;
    return arena_printf(arena, "%.*s", (int)(end - start), folder + start);
}

/* with_weights false: the plan has shapes only. adapter: NULL: none. */
static int compile(struct model *model, const json_t *config, bool with_weights, struct adapter *adapter,
                   struct error *error)
{
    struct model_config read;
    struct quantization quantization;
    int status = model_config_read(config, &model->arena, &read, error);
    if (status == 0)
        status = quantization_read(config, &quantization, error);
    if (status == 0 && with_weights)
        status = checkpoint_open(&model->checkpoint, model->info.path, &model->arena, error);
    if (status)
        return status;
    struct weights weights = {.checkpoint = with_weights ? &model->checkpoint : NULL,
                              .type = weights_shape_type(config),
                              .quantization = &quantization,
                              .arena = &model->arena,
                              .error = error};
    struct plan_builder builder;
    plan_builder_init(&builder, &model->arena, error);
    builder.plan.family = read.wrapper ? read.wrapper->model_type : read.family->model_type;
    builder.plan.shapes_only = !with_weights;
    struct decoder decoder;
    decoder_init(&decoder, &builder, &weights, &read.spec, read.wrapper ? MODEL_CONFIG_TEXT_PREFIX : "");
    for (size_t i = 0; read.wrapper && model_config_other_parts[i]; i++)
        weights_ignore_all(&weights, model_config_other_parts[i]);
    decoder.adapter = adapter;
    status = read.family->write(&decoder);
    if (status == 0)
        status = weights_check_leftovers(&weights);
    if (status == 0 && adapter)
        status = adapter_check_leftovers(adapter, error);
    if (status)
        return status;
    model->plan = builder.plan;
    model->info.architecture = model->plan.family;
    model->info.parameters = weights.parameters;
    model->info.weight_bytes = weights.bytes;
    model->info.file_bytes = with_weights ? model->checkpoint.file_bytes : weights.bytes;
    model->info.context = read.spec.context;
    model->info.quantization = describe_weights(&model->plan, &model->arena);
    if (adapter && model->info.quantization)
        model->info.quantization =
            arena_printf(&model->arena, "%s, LoRA of rank %u", model->info.quantization, adapter->rank);
    return model->info.quantization ? 0 : error_memory(error, "the model's description", 0);
}

static int read_generation(struct model *model, const json_t *config, struct error *error)
{
    json_t *generation = NULL;
    int status = json_file_read(model->info.path, "generation_config.json", &generation, error);
    if (status == 0 || status == ERROR_NOT_FOUND)
        status = generation_read(config, generation, &model->generation, error);
    json_decref(generation);
    return status;
}

/* The adapter's file is open only while its matrices are copied out of it. */
static int compile_adapted(struct model *model, const json_t *config, const char *folder, struct error *error)
{
    struct adapter adapter;
    int status = adapter_open(&adapter, folder, &model->arena, error);
    if (status == 0)
        status = compile(model, config, true, &adapter, error);
    adapter_close(&adapter);
    return status;
}

static int open_folder(struct model *model, const char *folder, const char *adapter, struct error *error)
{
    model->info.path = arena_strdup(&model->arena, folder);
    model->info.name = folder_name(&model->arena, folder);
    model->info.adapter = adapter ? folder_name(&model->arena, adapter) : NULL;
    if (!model->info.path || !model->info.name || (adapter && !model->info.adapter))
        return error_memory(error, "the model", strlen(folder));
    if (!file_is_folder(folder))
        return error_set(error, ERROR_NOT_FOUND, "there is no model folder %s", folder);
    json_t *config = NULL;
    int status = json_file_read(folder, "config.json", &config, error);
    if (status == 0)
        status = adapter ? compile_adapted(model, config, adapter, error)
                         : compile(model, config, true, NULL, error);
    if (status == 0)
        status = read_generation(model, config, error);
    json_decref(config);
    return status;
}

int model_open(const char *folder, struct model **out, struct error *error)
{
    return model_open_adapted(folder, NULL, out, error);
}

int model_open_adapted(const char *folder, const char *adapter, struct model **out, struct error *error)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return error_memory(error, "the model", sizeof *model);
    arena_init(&model->arena);
    int status = open_folder(model, folder, adapter, error);
    if (status)
        model_close(model);
    else
        *out = model;
    return status;
}

int model_shape_compile(const json_t *config, const char *name, struct model **out, struct error *error)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        return error_memory(error, "the model", sizeof *model);
    arena_init(&model->arena);
    model->info.path = model->info.name = arena_strdup(&model->arena, name);
    int status = model->info.name ? compile(model, config, false, NULL, error)
                                  : error_memory(error, "the model", strlen(name));
    if (status)
        model_close(model);
    else
        *out = model;
    return status;
}

void model_close(struct model *model)
{
    if (!model)
        return;
    checkpoint_close(&model->checkpoint);
    arena_free(&model->arena);
    free(model);
}

const struct plan *model_plan(const struct model *model)
{
    return &model->plan;
}

const struct model_info *model_info(const struct model *model)
{
    return &model->info;
}

const struct model_generation *model_generation(const struct model *model)
{
    return &model->generation;
}

const char *model_supported_architectures(void)
{
    return family_list();
}
