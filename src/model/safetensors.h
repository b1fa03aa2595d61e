/* The safetensors format: an 8-byte little-endian header length, a JSON header, and the tensors' bytes.
 * https://github.com/huggingface/safetensors (format section of its README)
 *
 * The file is hostile. What is checked here: the header lies in the file and is within bounds; names, types
 * and shapes are well formed; shape times element size is exactly the bytes claimed; the tensors cover the
 * data from its first byte to its last without overlap or hole. The tensors' bytes themselves are not
 * touched.
 */
#ifndef LLMIND_MODEL_SAFETENSORS_H
#define LLMIND_MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/weight.h"
#include "platform/file.h"

enum {
    TENSOR_MAX_DIMS = 8,
    SAFETENSORS_MAX_HEADER = 64 * 1024 * 1024,
    SAFETENSORS_MAX_TENSORS = 262144,
    SAFETENSORS_MAX_NAME = 1024 /* bytes of a name */
};

enum tensor_type {
    TENSOR_BOOL,
    TENSOR_U8,
    TENSOR_I8,
    TENSOR_F8_E4M3,
    TENSOR_F8_E5M2,
    TENSOR_F8_E8M0,
    TENSOR_U16,
    TENSOR_I16,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_U32,
    TENSOR_I32,
    TENSOR_F32,
    TENSOR_U64,
    TENSOR_I64,
    TENSOR_F64,
    TENSOR_C64,
    TENSOR_TYPES
};

struct tensor {
    const char *name; /* in the arena */
    const char *file; /* name of the file it lies in, for messages */
    enum tensor_type type;
    uint32_t n_dims;
    uint64_t shape[TENSOR_MAX_DIMS];
    const uint8_t *data; /* into the mapping, without any alignment */
    uint64_t bytes;
    bool used; /* set by whoever takes it; what is left over is a tensor nobody understood */
};

const char *tensor_type_name(enum tensor_type type); /* "BF16", as in the file */
/* The same as a type of a plan's numbers: f32, f16 or bf16; false: it is none of them. */
bool tensor_scalar(enum tensor_type type, enum scalar_type *out);
/* One of the numbers of a tensor whose type is one of these. */
float tensor_number(const struct tensor *tensor, size_t index);

/* Reads the header of a mapped file. *out: [*n_tensors], in order of their bytes, in the arena. `file` names
 * it in messages and must outlive the tensors. */
int safetensors_parse(const struct file_map *map, const char *file, struct arena *arena, struct tensor **out,
                      uint32_t *n_tensors, struct error *error);

#endif
