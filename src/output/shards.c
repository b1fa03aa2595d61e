/* safetensors (github.com/huggingface/safetensors): 8 bytes little-endian length of a JSON header, the
 * header, and the tensors' bytes one after another. The header is padded with spaces so that data begins on a
 * cache line. */
#include "output/shards.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output/json.h"

enum { BUFFER_BYTES = 8 << 20, HEADER_ALIGNMENT = 64 };

/* The thread that writes. It has one buffer while the other is filled; `bytes` is 0 when it has none. */
struct pump {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const uint8_t *data;
    size_t bytes;
    int descriptor;
    int problem; /* errno of the first write that failed */
    bool over;
};

struct writer {
    const struct output_folder *folder;
    const struct output_source *source;
    const char *file; /* the name of the one that is being written */
    uint64_t done_bytes, total_bytes;
    uint8_t *buffers[2];
    size_t buffer_bytes;
    unsigned turn; /* the buffer that is filled next */
    uint32_t n_files;
    struct pump pump;
};

static uint64_t tensor_bytes(const struct output_tensor *tensor)
{
    return tensor->rows * tensor->row_bytes;
}

uint64_t output_bytes(const struct output_source *source)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < source->n_tensors; i++)
        bytes += tensor_bytes(&source->tensors[i]);
    return bytes;
}

/* ---- the writing thread ---- */

/* Straight to the descriptor, because stdio would copy everything again. Returns an errno, or 0. */
static int write_all(int descriptor, const uint8_t *data, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t written = write(descriptor, data + at, bytes - at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        at += (size_t)written;
    }
    return 0;
}

static void *pump_run(void *context)
{
    struct pump *pump = context;
    pthread_mutex_lock(&pump->lock);
    for (;;) {
        while (!pump->bytes && !pump->over)
            pthread_cond_wait(&pump->changed, &pump->lock);
        if (!pump->bytes)
            break;
        const uint8_t *data = pump->data;
        size_t bytes = pump->bytes;
        bool skip = pump->problem != 0;
        pthread_mutex_unlock(&pump->lock);
        int problem = skip ? 0 : write_all(pump->descriptor, data, bytes);
        pthread_mutex_lock(&pump->lock);
        if (problem)
            pump->problem = problem;
        pump->bytes = 0;
        pthread_cond_broadcast(&pump->changed);
    }
    pthread_mutex_unlock(&pump->lock);
    return NULL;
}

/* Waits until what was handed over is written; an errno, or 0. */
static int pump_drain(struct pump *pump)
{
    pthread_mutex_lock(&pump->lock);
    while (pump->bytes)
        pthread_cond_wait(&pump->changed, &pump->lock);
    int problem = pump->problem;
    pthread_mutex_unlock(&pump->lock);
    return problem;
}

/* Hands a buffer over, once the one before is written. */
static int pump_push(struct pump *pump, int descriptor, const uint8_t *data, size_t bytes)
{
    int problem = pump_drain(pump);
    if (problem)
        return problem;
    pthread_mutex_lock(&pump->lock);
    pump->descriptor = descriptor;
    pump->data = data;
    pump->bytes = bytes;
    pthread_cond_broadcast(&pump->changed);
    pthread_mutex_unlock(&pump->lock);
    return 0;
}

static int pump_open(struct pump *pump, struct error *error)
{
    pthread_mutex_init(&pump->lock, NULL);
    pthread_cond_init(&pump->changed, NULL);
    int status = pthread_create(&pump->thread, NULL, pump_run, pump);
    if (!status)
        return 0;
    pthread_cond_destroy(&pump->changed);
    pthread_mutex_destroy(&pump->lock);
    return error_set(error, ERROR_MEMORY, "cannot start the thread that writes: %s", strerror(status));
}

static void pump_close(struct pump *pump)
{
    pthread_mutex_lock(&pump->lock);
    pump->over = true;
    pthread_cond_broadcast(&pump->changed);
    pthread_mutex_unlock(&pump->lock);
    pthread_join(pump->thread, NULL);
    pthread_cond_destroy(&pump->changed);
    pthread_mutex_destroy(&pump->lock);
}

/* ---- files ---- */

/* One past the last tensor of the shard that starts at `first`. */
static uint32_t shard_end(const struct output_source *source, uint32_t first, uint64_t shard_bytes)
{
    uint64_t bytes = tensor_bytes(&source->tensors[first]);
    uint32_t end = first + 1;
    while (end < source->n_tensors && bytes + tensor_bytes(&source->tensors[end]) <= shard_bytes)
        bytes += tensor_bytes(&source->tensors[end++]);
    return end;
}

static void file_name(char out[64], uint32_t i, uint32_t n_files)
{
    if (n_files == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", i + 1, n_files);
}

static json_t *header_entry(const struct output_tensor *tensor, uint64_t offset)
{
    uint64_t end = offset + tensor_bytes(tensor);
    json_t *shape = json_array();
    int failed = !shape;
    for (uint32_t d = 0; d < tensor->n_dims; d++)
        failed = json_array_append_new(shape, json_integer((json_int_t)tensor->dims[d])) || failed;
    if (failed) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets",
                     (json_int_t)offset, (json_int_t)end);
}

static char *header_text(const struct output_source *source, uint32_t first, uint32_t end)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "mlx");
    int failed = !header;
    uint64_t offset = 0;
    for (uint32_t i = first; i < end && !failed; i++) {
        const struct output_tensor *tensor = &source->tensors[i];
        failed = json_object_set_new(header, tensor->name, header_entry(tensor, offset));
        offset += tensor_bytes(tensor);
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

static int write_header(FILE *file, const struct output_source *source, uint32_t first, uint32_t end,
                        struct error *error)
{
    char *text = header_text(source, first, end);
    if (!text)
        return error_memory(error, "a file header", 0);
    size_t length = strlen(text),
           padding = (HEADER_ALIGNMENT - (length + 8) % HEADER_ALIGNMENT) % HEADER_ALIGNMENT;
    uint8_t prefix[8];
    for (unsigned i = 0; i < 8; i++)
        prefix[i] = (uint8_t)((uint64_t)(length + padding) >> (8 * i));
    fwrite(prefix, 1, sizeof prefix, file);
    fwrite(text, 1, length, file);
    for (size_t i = 0; i < padding; i++)
        fputc(' ', file);
    free(text);
    return 0;
}

static int write_failed(const struct writer *writer, int problem, struct error *error)
{
    return error_set(error, ERROR_IO, "cannot write %s/%s: %s", writer->folder->partial, writer->file,
                     strerror(problem));
}

/* Whole rows, as many as a buffer holds. */
static int write_tensor(struct writer *writer, int descriptor, uint32_t index, struct error *error)
{
    const struct output_source *source = writer->source;
    const struct output_tensor *tensor = &source->tensors[index];
    if (!tensor_bytes(tensor))
        return 0;
    uint64_t step = writer->buffer_bytes / tensor->row_bytes;
    for (uint64_t row = 0; row < tensor->rows; row += step) {
        uint64_t count = tensor->rows - row < step ? tensor->rows - row : step;
        size_t bytes = (size_t)(count * tensor->row_bytes);
        uint8_t *buffer = writer->buffers[writer->turn];
        int status = source->fill(source->context, index, row, count, buffer, error);
        if (status)
            return status;
        int problem = pump_push(&writer->pump, descriptor, buffer, bytes);
        if (problem)
            return write_failed(writer, problem, error);
        writer->turn ^= 1;
        writer->done_bytes += bytes;
        if (source->progress && !source->progress(source->context, writer->done_bytes, writer->total_bytes))
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
    writer->file = name;
    int result = write_header(file, writer->source, first, end, error);
    if (!result && fflush(file))
        result = error_set(error, ERROR_IO, "cannot write %s: %s", name, strerror(errno));
    for (uint32_t i = first; i < end && !result; i++)
        result = write_tensor(writer, fileno(file), i, error);
    int problem = pump_drain(&writer->pump);
    if (problem && !result)
        result = write_failed(writer, problem, error);
    int closed = folder_close_file(file, name, result ? NULL : error);
    return result ? result : closed;
}

static int write_index(struct writer *writer, uint64_t shard_bytes, struct error *error)
{
    const struct output_source *source = writer->source;
    json_t *map = json_object();
    int failed = !map;
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < source->n_tensors; first = end, n++) {
        char shard[64];
        file_name(shard, n, writer->n_files);
        end = shard_end(source, first, shard_bytes);
        for (uint32_t i = first; i < end; i++)
            failed = json_object_set_new(map, source->tensors[i].name, json_string(shard)) || failed;
    }
    if (failed) {
        json_decref(map);
        return error_memory(error, "the index", 0);
    }
    json_t *index =
        json_pack("{s:{s:I, s:I}, s:o}", "metadata", "total_size", (json_int_t)writer->total_bytes,
                  "total_parameters", (json_int_t)source->parameters, "weight_map", map);
    return output_json(writer->folder, "model.safetensors.index.json", index, false, error);
}

static int write_files(struct writer *writer, uint64_t shard_bytes, struct error *error)
{
    const struct output_source *source = writer->source;
    int result = 0;
    uint32_t n = 0;
    for (uint32_t first = 0, end; first < source->n_tensors && !result; first = end, n++) {
        char name[64];
        file_name(name, n, writer->n_files);
        end = shard_end(source, first, shard_bytes);
        result = write_file(writer, name, first, end, error);
    }
    return result ? result : write_index(writer, shard_bytes, error);
}

int output_shards(const struct output_folder *folder, const struct output_source *source,
                  uint64_t shard_bytes, uint32_t *n_files, struct error *error)
{
    struct writer writer = {.folder = folder,
                            .source = source,
                            .total_bytes = output_bytes(source),
                            .buffer_bytes = BUFFER_BYTES};
    for (uint32_t i = 0; i < source->n_tensors; i++)
        if (source->tensors[i].row_bytes > writer.buffer_bytes)
            writer.buffer_bytes = (size_t)source->tensors[i].row_bytes;
    for (uint32_t first = 0; first < source->n_tensors; first = shard_end(source, first, shard_bytes))
        writer.n_files++;
    *n_files = writer.n_files;
    writer.buffers[0] = malloc(writer.buffer_bytes);
    writer.buffers[1] = malloc(writer.buffer_bytes);
    int result = 0;
    if (!writer.buffers[0] || !writer.buffers[1])
        result = error_memory(error, "the write buffers", 2 * writer.buffer_bytes);
    if (!result)
        result = pump_open(&writer.pump, error);
    if (!result) {
        result = write_files(&writer, shard_bytes, error);
        pump_close(&writer.pump);
    }
    free(writer.buffers[0]);
    free(writer.buffers[1]);
    return result;
}
