/* Which backend executes a plan: the functions of backend.h, by the name that was asked for. */
#include <string.h>

#include "backend/driver.h"

const char *const *backend_names(void)
{
    static const char *const all[] = {"cpu", "mlx", NULL}, *const own[] = {"cpu", NULL};
    return backend_mlx_is_there() ? all : own;
}

/* ---- what concerns every backend ---- */

/* NULL: *error says why. */
static const struct backend_driver *find_driver(const char *name, struct error *error)
{
    if (!name || strcmp(name, "cpu") == 0)
        return &backend_cpu;
    if (strcmp(name, "mlx") == 0)
        return backend_mlx(error);
    error_set(error, ERROR_INVALID, "unknown backend \"%s\": there are cpu and mlx", name);
    return NULL;
}

static int check_options(const struct backend_options *options, struct error *error)
{
    if (options->n_threads > 1024)
        return error_set(error, ERROR_INVALID, "threads %u: at most 1024", options->n_threads);
    if (!options->max_step_tokens || !options->max_step_outputs || !options->max_sequences ||
        !options->n_pages)
        return error_set(error, ERROR_INTERNAL, "a backend limit is zero");
    return 0;
}

/* 0 with a driver, or an error. */
static int choose(const struct backend_options *options, const struct backend_driver **out,
                  struct error *error)
{
    int status = check_options(options, error);
    *out = status ? NULL : find_driver(options->name, error);
    if (*out && options->batch_invariant && !(*out)->batch_invariant) {
        status =
            error_set(error, ERROR_UNSUPPORTED,
                      "the %s backend's results depend on what else is in a step, and prompt lookup rests on "
                      "them not to: use the cpu backend, or guess no tokens",
                      (*out)->name);
        *out = NULL;
    }
    if (*out || status)
        return status;
    return options->name && strcmp(options->name, "mlx") == 0 ? ERROR_UNSUPPORTED : ERROR_INVALID;
}

static int check_batch(const struct backend_model *model, const struct backend_batch *batch,
                       struct error *error)
{
    const struct backend_options *limits = &model->limits;
    if (batch->n_tokens > limits->max_step_tokens || batch->n_outputs > limits->max_step_outputs ||
        batch->n_sequences > limits->max_sequences || batch->n_outputs > batch->n_tokens)
        return error_set(error, ERROR_INTERNAL,
                         "a step of %u tokens, %u outputs, %u sequences breaks its limits", batch->n_tokens,
                         batch->n_outputs, batch->n_sequences);
    for (uint32_t i = 0; i < batch->n_tokens; i++) {
        uint32_t sequence = batch->sequence[i];
        if (sequence >= batch->n_sequences || batch->tokens[i] < 0 ||
            (uint32_t)batch->tokens[i] >= model->plan->vocab ||
            batch->positions[i] / BACKEND_PAGE_TOKENS >= batch->sequences[sequence].n_pages ||
            batch->sequences[sequence].pages[batch->positions[i] / BACKEND_PAGE_TOKENS] >= limits->n_pages)
            return error_set(error, ERROR_INTERNAL, "token %u of a step has no valid id, sequence or page",
                             i);
    }
    for (uint32_t i = 0; i < batch->n_outputs; i++)
        if (batch->outputs[i] >= batch->n_tokens || (i && batch->outputs[i] <= batch->outputs[i - 1]))
            return error_set(error, ERROR_INTERNAL, "output %u of a step is not an ascending token", i);
    return 0;
}

/* ---- backend.h ---- */

int backend_prepare(const struct plan *plan, const struct backend_options *options,
                    struct backend_model **out, struct error *error)
{
    const struct backend_driver *driver;
    *out = NULL;
    if (plan->shapes_only)
        return error_set(error, ERROR_INVALID, "the plan has shapes and no weights: it cannot be run");
    int status = choose(options, &driver, error);
    if (!driver)
        return status;
    status = driver->prepare(plan, options, out, error);
    if (status)
        return status;
    (*out)->driver = driver;
    (*out)->plan = plan;
    return 0;
}

void backend_close(struct backend_model *model)
{
    if (model)
        model->driver->close(model);
}

int backend_step(struct backend_model *model, const struct backend_batch *batch, const float **logits,
                 uint64_t *segment_ns, struct error *error)
{
    int status = check_batch(model, batch, error);
    return status ? status : model->driver->step(model, batch, logits, segment_ns, error);
}

const float *backend_rows(const struct backend_model *model, struct plan_view view, size_t *stride)
{
    return model->driver->rows(model, view, stride);
}

const struct backend_segment *backend_segments(const struct backend_model *model, uint32_t *n_segments)
{
    return model->driver->segments(model, n_segments);
}

struct backend_memory backend_memory(const struct backend_model *model)
{
    return model->driver->memory(model);
}

struct backend_info backend_info(const struct backend_model *model)
{
    return model->info;
}

int backend_scratch_bytes(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                          struct error *error)
{
    const struct backend_driver *driver;
    *bytes = 0;
    int status = choose(options, &driver, error);
    return driver ? driver->scratch_bytes(plan, options, bytes, error) : status;
}

int backend_phases(const struct plan *plan, const struct backend_options *options, uint32_t *n_phases,
                   struct error *error)
{
    const struct backend_driver *driver;
    *n_phases = 0;
    int status = choose(options, &driver, error);
    return driver ? driver->phases(plan, options, n_phases, error) : status;
}

uint8_t *backend_page(struct backend_model *model, uint32_t page)
{
    return model->driver->page(model, page);
}

uint32_t backend_page_layout(const struct backend_model *model)
{
    return model->driver->page_layout;
}

uint64_t backend_page_bytes(const struct plan *plan, uint32_t kv_bits)
{
    return plan_kv_bytes_per_token(plan, kv_bits) * BACKEND_PAGE_TOKENS;
}
