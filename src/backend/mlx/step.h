/* One step of a plan as a graph of MLX's operations.
 *
 * Every plan operation becomes the few MLX operations that mlx-lm would use: its fast kernels for norms,
 * rotary embedding and attention, its quantized products. All is computed in one type (compute_type), a
 * plan's PRECISION_* names what the cpu backend does and is not looked at.
 */
#ifndef LLMIND_BACKEND_MLX_STEP_H
#define LLMIND_BACKEND_MLX_STEP_H

#include <map>
#include <optional>
#include <vector>

#include <mlx/mlx.h>

#include "backend/mlx/cache.h"
#include "backend/mlx/slots.h"
#include "backend/mlx/tensors.h"

namespace llmind
{

/* What an operation needs beside its operands, made once. Which of them there are follows from its kind. */
struct Constants {
    const Matrix *matrices[3]; /* LINEAR and EMBED: one; EXPERTS: gate, up, down */
    std::optional<mx::array>
        vectors[3]; /* NORM: weight; LINEAR: bias; ATTEND: sinks; EXPERTS: biases; ROPE: frequencies */
};

struct Model {
    const struct plan *plan;
    mx::Dtype type;
    std::map<const struct weight *, Matrix> matrices;
    std::vector<Constants> constants; /* [n_ops] */
    Cache cache;
};

/* Fills matrices and constants. */
void make_constants(Model &model);

class Step
{
  public:
    Step(Model &model, const struct backend_batch &batch);

    void execute(uint32_t op_index);
    mx::array read(struct plan_view view) const
    {
        return slots_.read(view);
    }

  private:
    /* Rows of one domain that are neighbouring positions of one sequence. */
    struct Run {
        uint32_t row, n, sequence, position;
    };

    void find_runs(enum plan_domain domain);
    const std::vector<Run> &runs(struct plan_view view) const
    {
        return runs_[model_.plan->slots[view.slot].domain];
    }
    uint32_t token(enum plan_domain domain, uint32_t row) const;
    mx::array number(float value) const
    {
        return mx::array(value, model_.type);
    }

    mx::array embed(const struct plan_op &op, const Constants &constants) const;
    mx::array norm(const struct plan_op &op, const Constants &constants) const;
    mx::array linear(const struct plan_op &op, const Constants &constants) const;
    mx::array rope(const struct plan_op &op, const Constants &constants);
    mx::array rope_run(const struct plan_op &op, const Constants &constants, const mx::array &x,
                       const mx::array &offset) const;
    mx::array rope_by_angles(const struct plan_op &op, const mx::array &x);
    void kv_store(const struct plan_op &op);
    mx::array attend(const struct plan_op &op, const Constants &constants) const;
    mx::array attend_run(const struct plan_op &op, const Constants &constants, const Run &run,
                         const mx::array &queries) const;
    mx::array act_mul(enum plan_activation activation, const mx::array &gate, const mx::array &up) const;
    mx::array scale(const struct plan_op &op) const;
    void route(const struct plan_op &op);
    mx::array experts(const struct plan_op &op, const Constants &constants) const;
    mx::array select(const struct plan_op &op) const;

    Model &model_;
    const struct backend_batch &batch_;
    Slots slots_;
    std::vector<Run> runs_[2]; /* by domain */
    std::map<std::pair<const struct plan_rope *, int>, std::pair<mx::array, mx::array>>
        angles_; /* cosines, sines of a domain */
};

} // namespace llmind

#endif
