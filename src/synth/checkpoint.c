/* safetensors (github.com/huggingface/safetensors): 8 bytes little-endian length of a JSON header, the
 * header, and the tensors' bytes one after another. The header is padded with spaces so that data begins on a
 * cache line. */
#include "synth/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "synth/fill.h"

enum { BUFFER_BYTES = 8 << 20, HEADER_ALIGNMENT = 64 };

struct writer {
    const struct synth_folder *folder;
    const struct synth_tensors *tensors;
    synth_progress progress;
    void *context;
    uint64_t done_bytes;
    uint8_t *buffer;
    size_t buffer_bytes;
    uint32_t n_files;
};

static uint64_t tensor_bytes(const struct synth_tensor *tensor)
{
    return tensor->rows * tensor->row_bytes;
}

/* One past the last tensor of the shard that starts at `first`. */
static uint32_t shard_end(const struct synth_tensors *tensors, uint32_t first, uint64_t shard_bytes)
{
    uint64_t bytes = tensor_bytes(&tensors->items[first]);
    uint32_t end = first + 1;
    while (end < tensors->count && bytes + tensor_bytes(&tensors->items[end]) <= shard_bytes)
        bytes += tensor_bytes(&tensors->items[end++]);
    return end;
}

static void file_name(char out[64], uint32_t i, uint32_t n_files)
{
    if (n_files == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", i + 1, n_files);
}

static int write_header(FILE *file, const struct synth_tensors *tensors, uint32_t first, uint32_t end,
                        struct error *error)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (!memory)
        return error_memory(error, "a file header", 0);
    uint64_t offset = 0;
    fputs("{\"__metadata__\":{\"format\":\"mlx\"}", memory);
    for (uint32_t i = first; i < end; i++) {
        const struct synth_tensor *tensor = &tensors->items[i];
        fprintf(memory, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", tensor->name, tensor->dtype);
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            fprintf(memory, "%s%" PRIu64, d ? "," : "", tensor->dims[d]);
        fprintf(memory, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset,
                offset + tensor_bytes(tensor));
        offset += tensor_bytes(tensor);
    }
    fputc('}', memory);
    fflush(memory);
    for (size_t n = length + 8; n % HEADER_ALIGNMENT; n++)
        fputc(' ', memory);
    if (fclose(memory)) {
        free(text);
        return error_memory(error, "a file header", length);
    }
    uint8_t prefix[8];
    for (unsigned i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)length >> (8 * i));
    fwrite(prefix, 1, sizeof prefix, file);
    fwrite(text, 1, length, file);
    free(text);
    return 0;
}

/* Whole rows, as many as the buffer holds; straight to the descriptor, because stdio would copy them again.
 */
static int write_tensor(struct writer *writer, int descriptor, const struct synth_tensor *tensor,
                        struct error *error)
{
    uint64_t step = writer->buffer_bytes / tensor->row_bytes;
    for (uint64_t row = 0; row < tensor->rows; row += step) {
        uint64_t count = tensor->rows - row < step ? tensor->rows - row : step;
        size_t bytes = (size_t)(count * tensor->row_bytes);
        synth_fill(tensor, row, count, writer->buffer);
        for (size_t at = 0; at < bytes;) {
            ssize_t written = write(descriptor, writer->buffer + at, bytes - at);
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                return error_set(error, ERROR_IO, "cannot write %s/%s: %s", writer->folder->partial,
                                 tensor->name, strerror(errno));
            at += (size_t)written;
        }
        writer->done_bytes += bytes;
        if (writer->progress &&
            !writer->progress(writer->context, writer->done_bytes, writer->tensors->bytes))
            return error_set(error, ERROR_CANCELLED, "stopped");
    }
    return 0;
}

static int write_file(struct writer *writer, const char *name, uint32_t first, uint32_t end,
                      struct error *error)
{
    FILE *file = folder_create(writer->folder, name, error);
    if (!file)
        return ERROR_IO;
    int result = write_header(file, writer->tensors, first, end, error);
    if (!result && fflush(file))
        result = error_set(error, ERROR_IO, "cannot write %s: %s", name, strerror(errno));
    for (uint32_t i = first; i < end && !result; i++)
        result = write_tensor(writer, fileno(file), &writer->tensors->items[i], error);
    int closed = folder_close_file(file, name, result ? NULL : error);
    return result ? result : closed;
}

static int write_index(struct writer *writer, uint64_t shard_bytes, struct error *error)
{
    const struct synth_tensors *tensors = writer->tensors;
    const char *name = "model.safetensors.index.json";
    FILE *file = folder_create(writer->folder, name, error);
    if (!file)
        return ERROR_IO;
    fprintf(file,
            "{\n    \"metadata\": {\n        \"total_size\": %" PRIu64
            ",\n        \"total_parameters\": %" PRIu64 "\n    },\n    \"weight_map\": {",
            tensors->bytes, tensors->parameters);
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < tensors->count; first = end, n++) {
        char shard[64];
        file_name(shard, n, writer->n_files);
        end = shard_end(tensors, first, shard_bytes);
        for (uint32_t i = first; i < end; i++)
            fprintf(file, "%s\n        \"%s\": \"%s\"", i ? "," : "", tensors->items[i].name, shard);
    }
    fputs("\n    }\n}\n", file);
    return folder_close_file(file, name, error);
}

int checkpoint_write(const struct synth_folder *folder, const struct synth_tensors *tensors,
                     uint64_t shard_bytes, synth_progress progress, void *context, uint32_t *n_files,
                     struct error *error)
{
    struct writer writer = {.folder = folder,
                            .tensors = tensors,
                            .progress = progress,
                            .context = context,
                            .buffer_bytes = BUFFER_BYTES};
    for (uint32_t i = 0; i < tensors->count; i++)
        if (tensors->items[i].row_bytes > writer.buffer_bytes)
            writer.buffer_bytes = (size_t)tensors->items[i].row_bytes;
    writer.buffer = malloc(writer.buffer_bytes);
    if (!writer.buffer)
        return error_memory(error, "the write buffer", writer.buffer_bytes);
    for (uint32_t first = 0; first < tensors->count; first = shard_end(tensors, first, shard_bytes))
        writer.n_files++;

    int result = 0;
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < tensors->count && !result; first = end, n++) {
        char name[64];
        file_name(name, n, writer.n_files);
        end = shard_end(tensors, first, shard_bytes);
        result = write_file(&writer, name, first, end, error);
    }
    if (!result)
        result = write_index(&writer, shard_bytes, error);
    *n_files = writer.n_files;
    free(writer.buffer);
    return result;
}
