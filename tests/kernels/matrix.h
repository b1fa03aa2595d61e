/* Random weight matrices of every format, in guarded memory. */
#ifndef LLMIND_TESTS_KERNELS_MATRIX_H
#define LLMIND_TESTS_KERNELS_MATRIX_H

#include "check.h"

struct format {
    enum weight_format format;
    enum scalar_type type;
    uint32_t bits, group;
    bool tensor_scales;
};

/* Calls visit for every coded format, or for those that are not coded. Affine: each width, group and scale
 * type. */
void formats_each(bool coded, void (*visit)(const struct kernels *k, const struct format *format),
                  const struct kernels *k);
const char *format_name(const struct format *format);

enum codes {
    CODES_RANDOM,
    CODES_MAX, /* all bits set */
    CODES_ZERO,
    CODES_ALTERNATING, /* 0, max, 0 ... */
    CODE_KINDS
};

/* exact: scales 1 (as linear_int8 sees them) and small whole biases, so that products and sums are whole
 * numbers. The arrays lie at the guard pages' edge, or at odd offsets. */
struct weight matrix_make(const struct format *format, uint32_t n_experts, uint32_t rows, uint32_t cols,
                          enum codes codes, bool exact);

#endif
