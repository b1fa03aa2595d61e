/* One backend, as backend.c sees it: the functions of backend.h for its own kind of model. Only backend.c and
 * the backends know this header.
 */
#ifndef LLMIND_BACKEND_DRIVER_H
#define LLMIND_BACKEND_DRIVER_H

#include "backend/backend.h"

/* Grows with every change of what a driver and the program share (this header, backend.h, the plan): a driver
 * that lies in a file of its own may be older than the program. */
enum { BACKEND_DRIVER_VERSION = 3 };
/* And what the sizes of the shared structures say of it, should a change have been forgotten. */
#define BACKEND_DRIVER_LAYOUT                                                                                \
    ((uint64_t)sizeof(struct plan) + 1000 * sizeof(struct plan_op) + 1000000 * sizeof(struct plan_rope) +    \
     7 * sizeof(struct plan_cache) + 11 * sizeof(struct weight) + 13 * sizeof(struct backend_options) +      \
     17 * sizeof(struct backend_batch) + 19 * sizeof(struct backend_model) +                                 \
     23 * sizeof(struct backend_memory))

/* What every backend's model begins with. */
struct backend_model {
    const struct backend_driver *driver;
    const struct plan *plan;
    struct backend_options limits;
    struct backend_info info;
};

/* Options have been checked for what concerns no backend in particular, plans have weights, batches keep
 * their limits. */
struct backend_driver {
    uint32_t version;
    uint64_t layout;
    bool batch_invariant; /* keeps backend.h's promise */
    const char *name;
    /* Fills all of the model but driver and plan. limits: the options, with what the backend chose. */
    int (*prepare)(const struct plan *plan, const struct backend_options *options, struct backend_model **out,
                   struct error *error);
    void (*close)(struct backend_model *model);
    int (*step)(struct backend_model *model, const struct backend_batch *batch, const float **logits,
                uint64_t *segment_ns, struct error *error);
    const float *(*rows)(const struct backend_model *model, struct plan_view view, size_t *stride);
    const struct backend_segment *(*segments)(const struct backend_model *model, uint32_t *n_segments);
    struct backend_memory (*memory)(const struct backend_model *model);
    int (*scratch_bytes)(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                         struct error *error);
    int (*phases)(const struct plan *plan, const struct backend_options *options, uint32_t *n_phases,
                  struct error *error);
    /* backend_page_layout and backend_page; 0 and NULL: pages cannot be lent. */
    uint32_t page_layout;
    uint8_t *(*page)(struct backend_model *model, uint32_t page);
};

extern const struct backend_driver backend_cpu;

/* The driver in libllmind_mlx.so, which lies beside the program or in ../lib/llmind; loaded once and kept.
 * NULL with ERROR_UNSUPPORTED where there is none, or it cannot be loaded: why. */
const struct backend_driver *backend_mlx(struct error *error);
bool backend_mlx_is_there(void); /* the file is; whether it can be loaded is another question */
/* Its one symbol. */
#define BACKEND_MLX_SYMBOL "llmind_backend_mlx"

#endif
