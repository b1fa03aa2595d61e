/* The mlx backend: the functions of backend.h over MLX's C++ library (https://ml-explore.github.io/mlx),
 * which chooses its device: Metal, CUDA or the CPU. It is a library of its own, so that the program starts
 * where MLX is not.
 *
 * MLX's errors are exceptions; none leaves this file.
 */
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include <mlx/mlx.h>

#include "backend/mlx/step.h"
#include "backend/mlx/thread.h"

extern "C" {
#include "backend/driver.h"
}

namespace llmind
{

namespace
{

struct MlxModel : backend_model {
    std::optional<mx::Device> device;
    std::unique_ptr<Model> model; /* made, used and destroyed in MLX's thread */
    std::vector<backend_segment> segments;
    std::optional<mx::array> logits, embedding; /* of the last step */
    std::atomic<uint64_t> weight_bytes;
    std::atomic<uint64_t> active_bytes, peak_bytes, cache_bytes; /* MLX's own account, after the last step */
    std::string isa;
};

/* Runs what may throw. */
template <typename Work> int guarded(struct error *error, Work work)
{
    try {
        return work();
    } catch (const std::bad_alloc &) {
        return error_set(error, ERROR_MEMORY, "the mlx backend is out of memory");
    } catch (const std::exception &exception) {
        return error_set(error, ERROR_INTERNAL, "mlx: %.400s", exception.what());
    }
}

/* ---- what may be asked ---- */

/* What keeps a cache from being stored here; nullptr: nothing. */
const char *cache_problem(const struct plan_cache &cache)
{
    if (cache.kind == CACHE_LATENT)
        return "a latent cache";
    if (cache.kind == CACHE_RECURRENT)
        return "a recurrent state";
    return cache.k_dim == cache.v_dim ? nullptr : "keys and values of different sizes";
}

int check_plan(const struct plan *plan, struct error *error)
{
    for (uint32_t i = 0; i < plan->n_caches; i++)
        if (const char *problem = cache_problem(plan->caches[i]))
            return error_set(error, ERROR_UNSUPPORTED, "layers.%d: the mlx backend cannot keep %s",
                             static_cast<int>(plan->caches[i].layer), problem);
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].kind == PLAN_ATTEND && plan->ops[i].attend.softcap > 0 && plan->ops[i].attend.sinks)
            return error_set(error, ERROR_UNSUPPORTED, "%s: the mlx backend has no softcap beside sinks",
                             plan->ops[i].name);
    return 0;
}

bool is_gpu(const char *isa)
{
    return std::strcmp(isa, "gpu") == 0 || std::strcmp(isa, "metal") == 0 || std::strcmp(isa, "cuda") == 0;
}

bool has_gpu()
{
    bool gpu = false;
    run_in_thread([&] { gpu = mx::is_available(mx::Device::gpu); });
    return gpu;
}

int check(const struct plan *plan, const struct backend_options *options, struct error *error)
{
    if (options->kv_bits != 16 && options->kv_bits != 32)
        return error_set(error, ERROR_INVALID, "kv-bits %u: the mlx backend stores 16 or 32",
                         options->kv_bits);
    if (options->isa && std::strcmp(options->isa, "cpu") != 0 && !is_gpu(options->isa))
        return error_set(error, ERROR_UNSUPPORTED, "isa \"%s\": the mlx backend has cpu and gpu",
                         options->isa);
    if (options->isa && is_gpu(options->isa) && !has_gpu())
        return error_set(error, ERROR_UNSUPPORTED, "this build of MLX, or this machine, has no GPU");
    return check_plan(plan, error);
}

/* In the thread. */
mx::Device device_of(const char *isa)
{
    bool gpu = isa ? is_gpu(isa) : mx::is_available(mx::Device::gpu);
    return gpu ? mx::Device::gpu : mx::Device::cpu;
}

std::string device_name(const mx::Device &device)
{
    if (device == mx::Device::cpu)
        return "cpu";
    return mx::metal::is_available() ? "metal" : "cuda";
}

/* ---- opening ---- */

bool stands_alone(enum plan_op_kind kind)
{
    return kind == PLAN_LINEAR || kind == PLAN_ATTEND || kind == PLAN_EXPERTS;
}

/* Products and attention are timed alone, what lies between them together. */
std::vector<backend_segment> cut_segments(const struct plan &plan)
{
    std::vector<backend_segment> segments;
    for (uint32_t i = 0; i < plan.n_ops; i++) {
        bool joins = i && !stands_alone(plan.ops[i].kind) && !stands_alone(plan.ops[i - 1].kind);
        if (joins)
            segments.back().n_ops++;
        else
            segments.push_back({i, 1});
    }
    return segments;
}

/* In the thread. */
void load(MlxModel &mlx, const struct plan &plan, const struct backend_options &options)
{
    mlx.device = device_of(options.isa);
    mx::set_default_device(*mlx.device);
    mlx.isa = device_name(*mlx.device);
    mx::Dtype type = compute_type(plan, options.precise);
    mx::Dtype kept = options.kv_bits == 32 ? mx::float32 : type == mx::float32 ? mx::float16 : type;
    mlx.model = std::make_unique<Model>(Model{&plan, type, {}, {}, Cache(plan, kept, options.n_pages)});
    make_constants(*mlx.model);
    std::vector<mx::array> all;
    size_t bytes = 0;
    for (const auto &[weight, matrix] : mlx.model->matrices) {
        all.push_back(matrix.data);
        if (matrix.scales)
            all.push_back(*matrix.scales);
        if (matrix.biases)
            all.push_back(*matrix.biases);
        bytes += matrix_bytes(matrix);
    }
    mx::eval(all);
    mx::clear_cache(); /* what was converted is not needed again */
    mlx.weight_bytes = bytes;
}

void close(struct backend_model *model)
{
    auto *mlx = static_cast<MlxModel *>(model);
    try {
        run_in_thread([&] {
            mlx->logits.reset();
            mlx->embedding.reset();
            mlx->model.reset();
            mx::synchronize();
            mx::clear_cache();
        });
    } catch (const std::exception &exception) {
        std::fprintf(stderr, "mlx, while closing a model: %s\n", exception.what());
    }
    delete mlx;
}

int prepare(const struct plan *plan, const struct backend_options *options, struct backend_model **out,
            struct error *error)
{
    MlxModel *mlx = nullptr;
    int status = guarded(error, [&] {
        int refused = check(plan, options, error);
        if (refused)
            return refused;
        mlx = new MlxModel();
        mlx->segments = cut_segments(*plan);
        mlx->limits = *options;
        mlx->limits.n_threads = 1;
        run_in_thread([&] { load(*mlx, *plan, *options); });
        mlx->info = {"mlx", mlx->isa.c_str(), mlx->limits.n_threads, options->kv_bits};
        return 0;
    });
    if (status && mlx)
        close(mlx);
    else
        *out = mlx;
    return status;
}

/* ---- steps ---- */

/* Where no output is wanted (the middle of a prompt), what only outputs have is left out. */
bool is_wanted(const struct plan &plan, uint32_t index, const struct backend_batch &batch)
{
    const struct plan_op &op = plan.ops[index];
    struct plan_view writes = op.kind == PLAN_KV_STORE ? op.in : op.out;
    return batch.n_outputs || plan.slots[writes.slot].domain == DOMAIN_TOKENS;
}

/* Everything that the segment writes, computed and timed. */
void time_segment(Step &step, const MlxModel &mlx, const struct backend_batch &batch,
                  const backend_segment &segment, uint64_t *ns)
{
    auto begin = std::chrono::steady_clock::now();
    std::vector<mx::array> written;
    for (uint32_t i = segment.first_op; i < segment.first_op + segment.n_ops; i++) {
        if (!is_wanted(*mlx.plan, i, batch))
            continue;
        step.execute(i);
        if (mlx.plan->ops[i].kind != PLAN_KV_STORE)
            written.push_back(step.read(mlx.plan->ops[i].out));
        else
            mlx.model->cache.collect(written);
    }
    mx::eval(written);
    *ns = static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count());
}

void execute_ops(Step &step, const MlxModel &mlx, const struct backend_batch &batch, uint64_t *segment_ns)
{
    for (size_t i = 0; segment_ns && i < mlx.segments.size(); i++)
        time_segment(step, mlx, batch, mlx.segments[i], &segment_ns[i]);
    for (uint32_t i = 0; !segment_ns && i < mlx.plan->n_ops; i++)
        if (is_wanted(*mlx.plan, i, batch))
            step.execute(i);
}

/* In the thread. */
void compute(MlxModel &mlx, const struct backend_batch &batch, uint64_t *segment_ns)
{
    mx::set_default_device(*mlx.device); /* another model may have another one */
    Step step(*mlx.model, batch);
    mlx.logits.reset();
    mlx.embedding.reset();
    execute_ops(step, mlx, batch, segment_ns);
    std::vector<mx::array> wanted;
    auto keep = [&](std::optional<mx::array> &where, struct plan_view view) {
        where = mx::contiguous(mx::astype(step.read(view), mx::float32));
        wanted.push_back(*where);
    };
    if (batch.n_outputs && !batch.embeddings_only)
        keep(mlx.logits, mlx.plan->logits);
    if (batch.n_outputs && mlx.plan->embedding.width)
        keep(mlx.embedding, mlx.plan->embedding);
    mlx.model->cache.collect(wanted);
    mx::eval(wanted);
    mlx.active_bytes = mx::get_active_memory();
    mlx.peak_bytes = mx::get_peak_memory();
    mlx.cache_bytes = mx::get_cache_memory();
}

int step(struct backend_model *model, const struct backend_batch *batch, const float **logits,
         uint64_t *segment_ns, struct error *error)
{
    auto *mlx = static_cast<MlxModel *>(model);
    if (segment_ns)
        std::memset(segment_ns, 0, mlx->segments.size() * sizeof *segment_ns);
    return guarded(error, [&] {
        run_in_thread([&] { compute(*mlx, *batch, segment_ns); });
        *logits = mlx->logits ? mlx->logits->data<float>() : nullptr;
        return 0;
    });
}

/* The engine asks for the plan's embedding, and for nothing else. */
const float *rows(const struct backend_model *model, struct plan_view view, size_t *stride)
{
    auto *mlx = static_cast<const MlxModel *>(model);
    *stride = view.width;
    return mlx->embedding ? mlx->embedding->data<float>() : nullptr;
}

/* ---- figures ---- */

const struct backend_segment *segments(const struct backend_model *model, uint32_t *n_segments)
{
    auto *mlx = static_cast<const MlxModel *>(model);
    *n_segments = static_cast<uint32_t>(mlx->segments.size());
    return mlx->segments.data();
}

/* Values of one step; MLX's own memory for what is under way comes to about that. */
uint64_t slot_bytes(const struct plan &plan, const struct backend_options &options)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan.n_slots; i++)
        bytes += static_cast<uint64_t>(plan.slots[i].width) * sizeof(float) *
                 (plan.slots[i].domain == DOMAIN_TOKENS ? options.max_step_tokens : options.max_step_outputs);
    return bytes;
}

/* All pages, as the other backend has it: what the cache may grow to. */
struct backend_memory memory(const struct backend_model *model)
{
    auto *mlx = static_cast<const MlxModel *>(model);
    uint64_t page_bytes = plan_kv_bytes_per_token(model->plan, model->limits.kv_bits) * BACKEND_PAGE_TOKENS;
    return {slot_bytes(*model->plan, model->limits),
            page_bytes * model->limits.n_pages,
            mlx->weight_bytes,
            mlx->active_bytes,
            mlx->peak_bytes,
            mlx->cache_bytes};
}

/* What stands beside the mapped file: MLX's constructor copies (Metal could use whole pages where they lie,
 * and tensors in safetensors files do not begin on one). */
int scratch_bytes(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                  struct error *error)
{
    return guarded(error, [&] {
        int status = check(plan, options, error);
        *bytes = status ? 0 : plan_weight_bytes(plan) + slot_bytes(*plan, *options);
        return status;
    });
}

int phases(const struct plan *plan, const struct backend_options *options, uint32_t *n_phases,
           struct error *error)
{
    return guarded(error, [&] {
        int status = check(plan, options, error);
        *n_phases = status ? 0 : static_cast<uint32_t>(cut_segments(*plan).size());
        return status;
    });
}

} // namespace

} // namespace llmind

extern "C" __attribute__((visibility("default")))
const struct backend_driver llmind_backend_mlx = {BACKEND_DRIVER_VERSION,
                                                  BACKEND_DRIVER_LAYOUT,
                                                  false,
                                                  "mlx",
                                                  llmind::prepare,
                                                  llmind::close,
                                                  llmind::step,
                                                  llmind::rows,
                                                  llmind::segments,
                                                  llmind::memory,
                                                  llmind::scratch_bytes,
                                                  llmind::phases,
                                                  0,
                                                  nullptr};
