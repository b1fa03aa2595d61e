/* What is written, out of what is there: every tensor of the output with the source tensors that it is made
 * of, under the names that MLX's readers look for. */
#ifndef LLMIND_CONVERT_LIST_H
#define LLMIND_CONVERT_LIST_H

#include <jansson.h>
#include <stdint.h>

#include "base/arena.h"
#include "convert/recipe.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "output/shards.h"

enum part {
    PART_PLAIN,  /* the source's numbers, perhaps of another type */
    PART_CODES,  /* packed codes of a matrix; behind them come ... */
    PART_SCALES, /* ... its scales ... */
    PART_BIASES  /* ... and, when affine, its biases */
};

/* One row of the output is one row of a source. */
struct made_of {
    enum part part;
    const struct tensor **sources; /* [n_sources]: one, or one of each expert, all alike */
    uint32_t n_sources;
    uint64_t rows, cols;       /* of each source */
    enum scalar_type from, to; /* the source's numbers; the output's, or those of scales and biases */
    struct code_format format; /* but for PART_PLAIN */
};

struct convert_list {
    struct arena *arena; /* borrowed: holds names and sources */
    struct output_tensor *outputs;
    struct made_of *made_of; /* [count], beside outputs */
    uint32_t count, capacity;
    uint64_t parameters, source_bytes;
    uint64_t side_bytes;  /* of the scales, or of the biases, of the matrix that has most */
    uint32_t longest_row; /* numbers, of the rows that are decoded */
    json_t *quantization; /* for config.json; NULL when nothing is quantized */
};

/* model: the source's. dtype: of the numbers that are not codes, or -1: each tensor's own. Free with
 * list_free, in every case. Errors: ERROR_UNSUPPORTED (a type of numbers), ERROR_INVALID, ERROR_MEMORY. */
int list_build(struct convert_list *list, const struct checkpoint *checkpoint,
               const struct model_config *model, const struct recipe *recipe, int dtype, struct error *error);
/* Whether the model has an output matrix of its own. */
bool list_has_head(const struct convert_list *list);
void list_free(struct convert_list *list);

#endif
