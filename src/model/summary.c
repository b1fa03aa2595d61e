/* A model at a glance, for lists: config.json and the headers of the weight files, whether or not this
 * program could run it. Numbers come from shapes alone, so they exist for architectures nobody here has heard
 * of.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/checkpoint.h"
#include "model/config.h"
#include "model/json_file.h"
#include "model/model.h"
#include "model/quantization.h"
#include "model/spec.h"

static uint64_t elements(const struct tensor *tensor)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        n *= tensor->shape[i]; /* the parser has seen the product fit */
    return n;
}

/* The sibling of "MODULE.weight" with another last part, or NULL. */
static const struct tensor *sibling(const struct checkpoint *checkpoint, const char *name,
                                    size_t module_length, const char *last)
{
    char other[1200];
    int n = snprintf(other, sizeof other, "%.*s.%s", (int)module_length, name, last);
    return n < 0 || (size_t)n >= sizeof other ? NULL : checkpoint_find(checkpoint, other);
}

/* Numbers a tensor stands for: its elements, or for packed codes the groups that its scales count. */
static uint64_t numbers(const struct checkpoint *checkpoint, const struct quantization *quantization,
                        const struct tensor *tensor)
{
    const char *dot = strrchr(tensor->name, '.');
    if (!dot || !quantization->present)
        return elements(tensor);
    size_t module_length = (size_t)(dot - tensor->name);
    if (strcmp(dot, ".scales") == 0 || strcmp(dot, ".biases") == 0 || strcmp(dot, ".global_scale") == 0)
        return sibling(checkpoint, tensor->name, module_length, "weight") ? 0 : elements(tensor);
    const struct tensor *scales =
        strcmp(dot, ".weight") == 0 ? sibling(checkpoint, tensor->name, module_length, "scales") : NULL;
    if (!scales)
        return elements(tensor);
    char module[1200];
    enum weight_format format;
    uint32_t bits, group_size = quantization->group_size;
    snprintf(module, sizeof module, "%.*s", (int)module_length, tensor->name);
    quantization_of(quantization, module, &format, &bits, &group_size);
    return elements(scales) * group_size;
}

static uint64_t count_parameters(const struct checkpoint *checkpoint, const struct quantization *quantization)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < checkpoint->n_tensors; i++)
        sum += numbers(checkpoint, quantization, &checkpoint->tensors[i]);
    return sum;
}

/* "bf16": the type with the most bytes. */
static void describe_dense(const struct checkpoint *checkpoint, char *out, size_t capacity)
{
    uint64_t bytes[TENSOR_TYPES] = {0};
    int best = 0;
    for (uint32_t i = 0; i < checkpoint->n_tensors; i++)
        bytes[checkpoint->tensors[i].type] += checkpoint->tensors[i].bytes;
    for (int i = 1; i < TENSOR_TYPES; i++)
        if (bytes[i] > bytes[best])
            best = i;
    snprintf(out, capacity, "%s", tensor_type_name((enum tensor_type)best));
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

static void describe(const struct checkpoint *checkpoint, const struct quantization *quantization, char *out,
                     size_t capacity)
{
    if (!quantization->present) {
        describe_dense(checkpoint, out, capacity);
        return;
    }
    bool mixed = false;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)quantization->object, name, value)
        mixed = mixed || json_is_object(value) || json_is_false(value);
    struct weight like = {
        .format = quantization->format, .bits = quantization->bits, .group_size = quantization->group_size};
    char text[64];
    weight_describe(&like, text, sizeof text);
    snprintf(out, capacity, "%s%s", mixed ? "mixed: mostly " : "", text);
}

/* Reads the configuration as far as it is understood; "unsupported" is an answer here, not an error. */
static int read_config(const json_t *config, struct arena *arena, struct model_summary *out,
                       struct quantization *quantization, struct error *error)
{
    struct json_fields fields = {.object = config, .where = "config.json", .error = error};
    const char *type = json_fields_string(&fields, "model_type", "unknown");
    out->context = json_fields_count(&fields, "max_position_embeddings", 0, 0, SPEC_MAX_CONTEXT);
    if (fields.status)
        return fields.status;
    out->architecture = strdup(type);
    if (!out->architecture)
        return error_memory(error, "the summary", strlen(type));
    struct model_config read;
    int status = model_config_read(config, arena, &read, error);
    if (status == 0)
        out->context = read.spec.context;
    out->supported = status == 0;
    if (status == 0 || status == ERROR_UNSUPPORTED) {
        status = quantization_read(config, quantization, error);
        out->supported = out->supported && status == 0;
    }
    return status == ERROR_UNSUPPORTED ? 0 : status;
}

int model_summarize(const char *folder, struct model_summary *out, struct error *error)
{
    struct arena arena;
    struct checkpoint checkpoint = {0};
    struct quantization quantization = {0};
    json_t *config = NULL;
    char text[100];
    *out = (struct model_summary){0};
    arena_init(&arena);
    int status = json_file_read(folder, "config.json", &config, error);
    if (status == 0)
        status = read_config(config, &arena, out, &quantization, error);
    if (status == 0)
        status = checkpoint_open(&checkpoint, folder, &arena, error);
    if (status == 0) {
        describe(&checkpoint, &quantization, text, sizeof text);
        out->quantization = strdup(text);
        out->parameters = count_parameters(&checkpoint, &quantization);
        out->file_bytes = checkpoint.file_bytes;
        if (!out->quantization)
            status = error_memory(error, "the summary", sizeof text);
    }
    checkpoint_close(&checkpoint);
    json_decref(config);
    arena_free(&arena);
    if (status)
        model_summary_free(out);
    return status;
}

void model_summary_free(struct model_summary *summary)
{
    free(summary->architecture);
    free(summary->quantization);
    *summary = (struct model_summary){0};
}
