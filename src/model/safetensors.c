#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/float16.h"
#include "model/json_file.h"

enum { LENGTH_BYTES = 8 };

static const struct {
    const char *name;
    uint8_t bytes;
} types[TENSOR_TYPES] = {
    [TENSOR_BOOL] = {"BOOL", 1},       [TENSOR_U8] = {"U8", 1},           [TENSOR_I8] = {"I8", 1},
    [TENSOR_F8_E4M3] = {"F8_E4M3", 1}, [TENSOR_F8_E5M2] = {"F8_E5M2", 1}, [TENSOR_F8_E8M0] = {"F8_E8M0", 1},
    [TENSOR_U16] = {"U16", 2},         [TENSOR_I16] = {"I16", 2},         [TENSOR_F16] = {"F16", 2},
    [TENSOR_BF16] = {"BF16", 2},       [TENSOR_U32] = {"U32", 4},         [TENSOR_I32] = {"I32", 4},
    [TENSOR_F32] = {"F32", 4},         [TENSOR_U64] = {"U64", 8},         [TENSOR_I64] = {"I64", 8},
    [TENSOR_F64] = {"F64", 8},         [TENSOR_C64] = {"C64", 8},
};

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

bool tensor_scalar(enum tensor_type type, enum scalar_type *out)
{
    switch (type) {
    case TENSOR_F32:
        *out = SCALAR_F32;
        return true;
    case TENSOR_F16:
        *out = SCALAR_F16;
        return true;
    case TENSOR_BF16:
        *out = SCALAR_BF16;
        return true;
    default:
        return false;
    }
}

float tensor_number(const struct tensor *tensor, size_t index)
{
    uint16_t half;
    float value;
    if (tensor->type == TENSOR_F32) {
        memcpy(&value, tensor->data + index * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, tensor->data + index * sizeof half, sizeof half);
    return tensor->type == TENSOR_BF16 ? float_from_bf16(half) : float_from_f16(half);
}

struct reader {
    const char *file;
    const uint8_t *data; /* first byte after the header */
    uint64_t data_bytes;
    struct arena *arena;
    struct error *error;
};

static int fail(const struct reader *reader, const char *tensor, const char *what)
{
    return error_set(reader->error, ERROR_INVALID, "%s: tensor %.200s: %s", reader->file, tensor, what);
}

static int read_type(const struct reader *reader, const json_t *entry, struct tensor *tensor)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name)
        return fail(reader, tensor->name, "dtype is missing");
    for (int i = 0; i < TENSOR_TYPES; i++)
        if (strcmp(name, types[i].name) == 0) {
            tensor->type = (enum tensor_type)i;
            return 0;
        }
    return error_set(reader->error, ERROR_UNSUPPORTED, "%s: tensor %.200s: unknown dtype %.40s", reader->file,
                     tensor->name, name);
}

/* Reads shape and leaves the bytes it asks for in tensor->bytes. */
static int read_shape(const struct reader *reader, const json_t *entry, struct tensor *tensor)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_MAX_DIMS)
        return fail(reader, tensor->name, "shape must be a list of at most 8 numbers");
    tensor->n_dims = (uint32_t)json_array_size(shape);
    tensor->bytes = types[tensor->type].bytes;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        const json_t *extent = json_array_get(shape, i);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0)
            return fail(reader, tensor->name, "shape must consist of whole numbers");
        tensor->shape[i] = (uint64_t)json_integer_value(extent);
        if (!checked_mul_u64(tensor->bytes, tensor->shape[i], &tensor->bytes))
            return fail(reader, tensor->name, "shape overflows");
    }
    return 0;
}

static int read_offsets(const struct reader *reader, const json_t *entry, struct tensor *tensor)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return fail(reader, tensor->name, "data_offsets must be two whole numbers");
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin || (uint64_t)end > reader->data_bytes)
        return fail(reader, tensor->name, "data_offsets lie outside the file (is the download complete?)");
    if ((uint64_t)(end - begin) != tensor->bytes)
        return fail(reader, tensor->name, "shape and dtype do not match the bytes of data_offsets");
    tensor->data = reader->data + begin;
    return 0;
}

static int read_tensor(const struct reader *reader, const char *name, const json_t *entry,
                       struct tensor *tensor)
{
    if (name[0] == '\0' || strlen(name) > SAFETENSORS_MAX_NAME)
        return fail(reader, name, "the name is empty or too long");
    if (!json_is_object(entry))
        return fail(reader, name, "the entry is not an object");
    tensor->file = reader->file;
    tensor->name = arena_strdup(reader->arena, name);
    if (!tensor->name)
        return error_memory(reader->error, "tensor names", strlen(name));
    int status = read_type(reader, entry, tensor);
    if (status == 0)
        status = read_shape(reader, entry, tensor);
    if (status == 0)
        status = read_offsets(reader, entry, tensor);
    return status;
}

static int by_position(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* an empty tensor goes before its neighbour */
}

static int check_cover(const struct reader *reader, const struct tensor *tensors, uint32_t n_tensors)
{
    uint64_t covered = 0;
    for (uint32_t i = 0; i < n_tensors; i++) {
        uint64_t begin = (uint64_t)(tensors[i].data - reader->data);
        if (begin != covered)
            return fail(reader, tensors[i].name,
                        begin < covered ? "its bytes overlap another tensor's"
                                        : "unused bytes lie before it");
        covered += tensors[i].bytes;
    }
    if (covered != reader->data_bytes)
        return error_set(reader->error, ERROR_INVALID, "%s: %llu bytes after the last tensor", reader->file,
                         (unsigned long long)(reader->data_bytes - covered));
    return 0;
}

static int read_entries(const struct reader *reader, json_t *header, struct tensor **out, uint32_t *n_tensors)
{
    size_t entries = json_object_size(header);
    if (json_object_get(header, "__metadata__"))
        entries--;
    if (entries > SAFETENSORS_MAX_TENSORS)
        return error_set(reader->error, ERROR_LIMIT, "%s: more than %d tensors", reader->file,
                         SAFETENSORS_MAX_TENSORS);
    struct tensor *tensors = arena_alloc(reader->arena, entries, sizeof *tensors);
    if (!tensors)
        return error_memory(reader->error, "the tensor list", entries * sizeof *tensors);
    const char *name;
    json_t *entry;
    uint32_t n = 0;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        int status = read_tensor(reader, name, entry, &tensors[n++]);
        if (status)
            return status;
    }
    qsort(tensors, n, sizeof *tensors, by_position);
    *out = tensors;
    *n_tensors = n;
    return check_cover(reader, tensors, n);
}

int safetensors_parse(const struct file_map *map, const char *file, struct arena *arena, struct tensor **out,
                      uint32_t *n_tensors, struct error *error)
{
    if (map->length < LENGTH_BYTES + 2)
        return error_set(error, ERROR_INVALID, "%s: too short for a safetensors file (%zu bytes)", file,
                         map->length);
    uint64_t header_bytes = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        header_bytes = header_bytes << 8 | map->data[i];
    if (header_bytes > map->length - LENGTH_BYTES)
        return error_set(error, ERROR_INVALID,
                         "%s: the header is longer than the file (is the download complete?)", file);
    if (header_bytes > SAFETENSORS_MAX_HEADER)
        return error_set(error, ERROR_LIMIT, "%s: the header is larger than %d bytes", file,
                         SAFETENSORS_MAX_HEADER);
    struct reader reader = {.file = file,
                            .data = map->data + LENGTH_BYTES + header_bytes,
                            .data_bytes = map->length - LENGTH_BYTES - header_bytes,
                            .arena = arena,
                            .error = error};
    json_t *header = NULL;
    int status =
        json_text_parse((const char *)map->data + LENGTH_BYTES, (size_t)header_bytes, file, &header, error);
    if (status)
        return status;
    status = read_entries(&reader, header, out, n_tensors);
    json_decref(header);
    return status;
}
