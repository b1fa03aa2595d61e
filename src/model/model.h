/* A model folder as found on the Hugging Face hub, opened, checked and compiled into a plan.
 *
 * config.json and model*.safetensors are hostile until checked: nothing is allocated from a number in them
 * before it has been bounded and cross-checked. The weights stay mapped, read-only, for as long as the model
 * is open; the plan points into them. Immutable after opening; any thread may read it.
 */
#ifndef LLMIND_MODEL_MODEL_H
#define LLMIND_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "plan/plan.h"

enum { MODEL_MAX_EOS = 16 };

/* What a repetition penalty may be, in a model's files and wherever else one is given: what is read from the
 * files must be usable by the sampler. */
#define MODEL_MIN_REPETITION_PENALTY 0.01
#define MODEL_MAX_REPETITION_PENALTY 100.0

/* What generation_config.json and config.json say about how to sample and when to stop. Fields the files
 * leave out keep the value in brackets. */
struct model_generation {
    int32_t eos[MODEL_MAX_EOS];
    uint32_t n_eos;
    int32_t bos;              /* [-1] */
    bool do_sample;           /* [false] */
    float temperature;        /* [1] */
    float top_p, min_p;       /* [1, 0] */
    uint32_t top_k;           /* [0: off] */
    float repetition_penalty; /* [1] */
};

struct model_info {
    const char *path;         /* folder */
    const char *name;         /* last part of the folder's name */
    const char *adapter;      /* last part of its adapter's folder; NULL: none */
    const char *architecture; /* config.json's model_type: "llama", "qwen3_moe", ... */
    const char *quantization; /* "4-bit affine, group 64", "bf16", "mixed: ..." */
    uint64_t parameters;      /* logical numbers, not packed words */
    uint64_t weight_bytes;    /* of the tensors used */
    uint64_t file_bytes;      /* of all safetensors files */
    uint32_t context;         /* max_position_embeddings, scaled ropes included */
};

struct model;

/* Errors: ERROR_NOT_FOUND (no folder, no config.json, no weights), ERROR_INVALID (a file lies; the message
 * names file and field), ERROR_UNSUPPORTED (architecture: the message names it and lists the supported ones),
 * ERROR_LIMIT, ERROR_IO. */
int model_open(const char *folder, struct model **out, struct error *error);
/* The same with a LoRA adapter (model/adapter.h), the folder of one; NULL: none. Errors also: adapter_open's,
 * and ERROR_INVALID or ERROR_UNSUPPORTED: it is of another model. */
int model_open_adapted(const char *folder, const char *adapter, struct model **out, struct error *error);
void model_close(struct model *model); /* NULL is legal; nothing may use the plan any more */

const struct plan *model_plan(const struct model *model);
const struct model_info *model_info(const struct model *model);
const struct model_generation *model_generation(const struct model *model);

/* Reads only config.json and the headers of the safetensors files: for lists. Strings are the caller's, freed
 * with model_summary_free. */
struct model_summary {
    char *architecture;
    char *quantization;
    uint64_t parameters, file_bytes;
    uint32_t context;
    bool supported;
};
int model_summarize(const char *folder, struct model_summary *out, struct error *error);
void model_summary_free(struct model_summary *summary);

/* "llama, mistral, qwen2, ..." */
const char *model_supported_architectures(void);

#endif
