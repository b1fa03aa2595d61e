/* In order: check what is asked, list the tensors (which gives the sizes), make sure there is room, write.
 * config.json comes last: a folder without it is no model to anybody, even if it were found half done. */
#include "synth/synth.h"

#include "output/folder.h"
#include "output/shards.h"
#include "synth/checkpoint.h"
#include "synth/configuration.h"
#include "synth/format.h"
#include "synth/shape.h"
#include "synth/tensor.h"
#include "synth/vocabulary.h"

enum { MAX_LAYERS = 512 };
static const uint64_t OTHER_FILES_BYTES = 32 << 20; /* tokenizer.json, mostly */

static int write_tokenizer(const struct output_folder *folder, const struct synth_shape *shape,
                           struct error *error)
{
    FILE *file = folder_create(folder, "tokenizer.json", error);
    if (!file)
        return ERROR_IO;
    int result = vocabulary_write(shape, file, error);
    int closed = folder_close_file(file, "tokenizer.json", result ? NULL : error);
    return result ? result : closed;
}

static int write_files(struct output_folder *folder, const struct synth_shape *shape,
                       const struct synth_format *format, const struct synth_tensors *tensors,
                       synth_progress progress, void *context, uint32_t *n_files, struct error *error)
{
    int result = folder_check_space(folder, tensors->bytes + OTHER_FILES_BYTES, error);
    if (!result)
        result = checkpoint_write(folder, tensors, OUTPUT_SHARD_BYTES, progress, context, n_files, error);
    if (!result)
        result = write_tokenizer(folder, shape, error);
    if (!result)
        result = configuration_write_text(folder, shape, error);
    if (!result)
        result = configuration_write_model(folder, shape, format, error);
    if (!result)
        result = folder_commit(folder, error);
    return result;
}

int synth_write(const struct synth_options *options, const char *path, synth_progress progress, void *context,
                struct synth_report *report, struct error *error)
{
    struct synth_shape shape;
    struct synth_format format;
    struct synth_tensors tensors = {0};
    struct output_folder folder = {.lock = -1};
    uint32_t n_files = 0;

    int result = synth_shape_find(options->shape, &shape, error);
    if (!result)
        result = synth_format_parse(options->mode, options->bits, options->group_size, &format, error);
    if (result)
        return result;
    if (options->n_layers > MAX_LAYERS)
        return error_set(error, ERROR_INVALID, "%u layers: at most %d", options->n_layers, MAX_LAYERS);
    if (options->n_layers)
        shape.layers = options->n_layers;

    result = synth_tensors_list(&tensors, &shape, &format, options->seed, options->outliers, error);
    if (!result)
        result = folder_begin(&folder, path, error);
    if (!result)
        result = write_files(&folder, &shape, &format, &tensors, progress, context, &n_files, error);
    if (result)
        folder_abandon(&folder);
    if (!result && report)
        *report = (struct synth_report){tensors.parameters, tensors.bytes, n_files};
    synth_tensors_free(&tensors);
    return result;
}
