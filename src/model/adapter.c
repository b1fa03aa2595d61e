#include "model/adapter.h"

#include <stdio.h>
#include <string.h>

#include "model/json_file.h"

enum { NAME_CAPACITY = 512 };

static const char CONFIG[] = "adapter_config.json", WEIGHTS[] = "adapters.safetensors";

/* dropout is for training, keys and num_layers say again what the tensors' names do. */
static int read_config(struct adapter *adapter, const json_t *config, struct error *error)
{
    struct json_fields fields = {.object = config, .where = CONFIG, .error = error};
    const char *kind = json_fields_string(&fields, "fine_tune_type", "lora");
    if (fields.status == 0 && strcmp(kind, "lora") != 0)
        return error_set(error, ERROR_UNSUPPORTED, "%s: fine_tune_type %.40s is not supported, only lora is",
                         CONFIG, kind);
    struct json_fields lora = {.object = json_fields_object(&fields, "lora_parameters"),
                               .where = "adapter_config.json: lora_parameters",
                               .error = error};
    adapter->rank = json_fields_count(&lora, "rank", JSON_REQUIRED_COUNT, 1, ADAPTER_MAX_RANK);
    adapter->scale = (float)json_fields_number(&lora, "scale", JSON_REQUIRED_NUMBER, -1e6, 1e6);
    return fields.status ? fields.status : lora.status;
}

int adapter_open(struct adapter *adapter, const char *folder, struct arena *arena, struct error *error)
{
    json_t *config = NULL;
    *adapter = (struct adapter){.arena = arena};
    int status = json_file_read(folder, CONFIG, &config, error);
    if (status == ERROR_NOT_FOUND)
        return error_set(error, ERROR_NOT_FOUND,
                         "%s: there is no %s: an adapter is a folder as mlx_lm.lora writes it", folder,
                         CONFIG);
    if (status == 0)
        status = read_config(adapter, config, error);
    json_decref(config);
    return status ? status : checkpoint_open_file(&adapter->checkpoint, folder, WEIGHTS, arena, error);
}

void adapter_close(struct adapter *adapter)
{
    checkpoint_close(&adapter->checkpoint);
}

/* The tensor [cols, rows] as the matrix [rows, cols]. NULL: *error says why. */
static const struct weight *turn(struct adapter *adapter, struct tensor *tensor, uint32_t rows, uint32_t cols,
                                 struct error *error)
{
    enum scalar_type type;
    if (!tensor_scalar(tensor->type, &type) || tensor->n_dims != 2 || tensor->shape[0] != cols ||
        tensor->shape[1] != rows) {
        error_set(error, ERROR_INVALID, "%s: tensor %.200s must be [%u, %u] of F32, F16 or BF16", WEIGHTS,
                  tensor->name, cols, rows);
        return NULL;
    }
    struct weight *weight = arena_alloc(adapter->arena, 1, sizeof *weight);
    float *numbers = arena_alloc(adapter->arena, (size_t)rows * cols, sizeof *numbers);
    if (!weight || !numbers) {
        error_memory(error, "an adapter", (unsigned long long)rows * cols * sizeof *numbers);
        return NULL;
    }
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t col = 0; col < cols; col++)
            numbers[(size_t)row * cols + col] = tensor_number(tensor, (size_t)col * rows + row);
    *weight = (struct weight){.name = tensor->name,
                              .format = WEIGHT_DENSE,
                              .type = SCALAR_F32,
                              .bits = 32,
                              .n_experts = 1,
                              .rows = rows,
                              .cols = cols,
                              .row_bytes = cols * sizeof(float),
                              .data = (const uint8_t *)numbers};
    tensor->used = true;
    return weight;
}

int adapter_find(struct adapter *adapter, const char *module, uint32_t rows, uint32_t cols,
                 struct adapter_pair *out, struct error *error)
{
    char name[NAME_CAPACITY];
    *out = (struct adapter_pair){0};
    snprintf(name, sizeof name, "%s.lora_a", module);
    struct tensor *a = checkpoint_find(&adapter->checkpoint, name);
    snprintf(name, sizeof name, "%s.lora_b", module);
    struct tensor *b = checkpoint_find(&adapter->checkpoint, name);
    if (!a && !b)
        return 0;
    if (!a || !b)
        return error_set(error, ERROR_INVALID, "%s: %.200s has only one of lora_a and lora_b", WEIGHTS,
                         module);
    out->a = turn(adapter, a, adapter->rank, cols, error);
    out->b = out->a ? turn(adapter, b, rows, adapter->rank, error) : NULL;
    return out->b ? 0 : error->code;
}

int adapter_check_leftovers(const struct adapter *adapter, struct error *error)
{
    const struct checkpoint *checkpoint = &adapter->checkpoint;
    for (uint32_t i = 0; i < checkpoint->n_tensors; i++)
        if (!checkpoint->tensors[i].used)
            return error_set(
                error, ERROR_UNSUPPORTED,
                "%s: tensor %.200s belongs to no linear layer of this model (adapters of experts and "
                "embeddings are not supported)",
                WEIGHTS, checkpoint->tensors[i].name);
    return 0;
}
