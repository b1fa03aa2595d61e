#include "synth/checkpoint.h"

#include <stdlib.h>

#include "output/shards.h"
#include "synth/fill.h"

struct noise {
    const struct synth_tensors *tensors;
    synth_progress progress;
    void *context;
};

static int fill(void *context, uint32_t tensor, uint64_t first, uint64_t count, uint8_t *out,
                struct error *error)
{
    const struct noise *noise = context;
    (void)error;
    synth_fill(&noise->tensors->items[tensor], first, count, out);
    return 0;
}

static bool on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct noise *noise = context;
    return !noise->progress || noise->progress(noise->context, done_bytes, total_bytes);
}

int checkpoint_write(const struct output_folder *folder, const struct synth_tensors *tensors,
                     uint64_t shard_bytes, synth_progress progress, void *context, uint32_t *n_files,
                     struct error *error)
{
    struct output_tensor *list = calloc(tensors->count, sizeof *list);
    if (!list)
        return error_memory(error, "the list of tensors", tensors->count * sizeof *list);
    for (uint32_t i = 0; i < tensors->count; i++) {
        const struct synth_tensor *tensor = &tensors->items[i];
        list[i] = (struct output_tensor){.name = tensor->name,
                                         .dtype = tensor->dtype,
                                         .n_dims = tensor->n_dims,
                                         .rows = tensor->rows,
                                         .row_bytes = tensor->row_bytes};
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            list[i].dims[d] = tensor->dims[d];
    }
    struct noise noise = {tensors, progress, context};
    const struct output_source source = {.tensors = list,
                                         .n_tensors = tensors->count,
                                         .parameters = tensors->parameters,
                                         .fill = fill,
                                         .progress = on_progress,
                                         .context = &noise};
    int result = output_shards(folder, &source, shard_bytes, n_files, error);
    free(list);
    return result;
}
