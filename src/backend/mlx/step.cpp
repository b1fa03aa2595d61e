#include "backend/mlx/step.h"

#include <cmath>
#include <limits>

namespace llmind
{

namespace
{

mx::Shape shape(std::initializer_list<uint32_t> sizes)
{
    mx::Shape out;
    for (uint32_t size : sizes)
        out.push_back(static_cast<int>(size));
    return out;
}

mx::array rows(const mx::array &x, uint32_t first, uint32_t n)
{
    if (static_cast<int>(n) == x.shape(0))
        return x;
    return mx::slice(x, {static_cast<int>(first), 0}, {static_cast<int>(first + n), x.shape(1)});
}

mx::array joined(std::vector<mx::array> &&parts)
{
    return parts.size() == 1 ? parts[0] : mx::concatenate(std::move(parts), 0);
}

/* Where MLX's own rotation does not know the frequencies: they, or the results' length, change with the
 * position. */
bool by_angles(const struct plan_rope &rope)
{
    return rope.dynamic_from || rope.grow_from;
}

mx::array frequencies(const struct plan_rope &rope)
{
    std::vector<float> values;
    for (uint32_t i = 0; i < rope.dims / 2; i++)
        values.push_back(1.0f / rope.inv_freq[i]);
    return mx::array(values.data(), shape({rope.dims / 2}), mx::float32);
}

} // namespace

/* ---- made once ---- */

static const Matrix *matrix(Model &model, const struct weight *weight)
{
    auto found = model.matrices.find(weight);
    if (found == model.matrices.end())
        found = model.matrices.emplace(weight, matrix_of(*weight, model.type)).first;
    return &found->second;
}

static std::optional<mx::array> vector(const Model &model, const float *values, mx::Shape shape)
{
    if (!values)
        return std::nullopt;
    return vector_of(values, std::move(shape), model.type);
}

static Constants constants_of(Model &model, const struct plan_op &op)
{
    Constants out = {};
    switch (op.kind) {
    case PLAN_EMBED:
        out.matrices[0] = matrix(model, op.embed.weight);
        break;
    case PLAN_NORM:
        out.vectors[0] = vector(model, op.norm.weight, shape({op.in.width / op.norm.n_groups}));
        break;
    case PLAN_LINEAR:
        out.matrices[0] = matrix(model, op.linear.weight);
        out.vectors[0] = vector(model, op.linear.bias, shape({op.linear.weight->rows}));
        break;
    case PLAN_ROPE:
        if (!by_angles(*op.rope.rope))
            out.vectors[0] = frequencies(*op.rope.rope);
        break;
    case PLAN_ATTEND:
        out.vectors[0] = vector(model, op.attend.sinks, shape({op.attend.n_heads}));
        break;
    case PLAN_EXPERTS: {
        const struct weight *weights[] = {op.experts.gate, op.experts.up, op.experts.down};
        const float *biases[] = {op.experts.gate_bias, op.experts.up_bias, op.experts.down_bias};
        for (int i = 0; i < 3; i++) {
            out.matrices[i] = matrix(model, weights[i]);
            out.vectors[i] = vector(model, biases[i], shape({weights[i]->n_experts, 1, weights[i]->rows}));
        }
        break;
    }
    default:
        break;
    }
    return out;
}

void make_constants(Model &model)
{
    for (uint32_t i = 0; i < model.plan->n_ops; i++)
        model.constants.push_back(constants_of(model, model.plan->ops[i]));
}

/* ---- the rows of a step ---- */

Step::Step(Model &model, const struct backend_batch &batch)
    : model_(model), batch_(batch), slots_(model.plan->n_slots)
{
    find_runs(DOMAIN_TOKENS);
    find_runs(DOMAIN_OUTPUTS);
    model.cache.reserve(batch);
}

uint32_t Step::token(enum plan_domain domain, uint32_t row) const
{
    return domain == DOMAIN_TOKENS ? row : batch_.outputs[row];
}

void Step::find_runs(enum plan_domain domain)
{
    uint32_t n = domain == DOMAIN_TOKENS ? batch_.n_tokens : batch_.n_outputs;
    std::vector<Run> &found = runs_[domain];
    for (uint32_t row = 0; row < n; row++) {
        uint32_t sequence = batch_.sequence[token(domain, row)],
                 position = batch_.positions[token(domain, row)];
        if (!found.empty() && found.back().sequence == sequence &&
            found.back().position + found.back().n == position)
            found.back().n++;
        else
            found.push_back({row, 1, sequence, position});
    }
}

/* ---- operations ---- */

mx::array Step::embed(const struct plan_op &op, const Constants &constants) const
{
    mx::array out = rows_of(*constants.matrices[0],
                            mx::array(batch_.tokens, shape({batch_.n_tokens}), mx::int32), model_.type);
    return op.embed.scale == 1.0f ? out : mx::multiply(out, number(op.embed.scale));
}

mx::array Step::norm(const struct plan_op &op, const Constants &constants) const
{
    mx::array x = slots_.read(op.in);
    if (op.norm.n_groups == 1)
        return mx::fast::rms_norm(x, constants.vectors[0], op.norm.eps);
    auto groups = static_cast<int>(op.norm.n_groups);
    mx::array parts = mx::reshape(x, {x.shape(0), groups, x.shape(1) / groups});
    return mx::reshape(mx::fast::rms_norm(parts, constants.vectors[0], op.norm.eps), x.shape());
}

mx::array Step::linear(const struct plan_op &op, const Constants &constants) const
{
    mx::array out = product(slots_.read(op.in), *constants.matrices[0]);
    return constants.vectors[0] ? mx::add(out, *constants.vectors[0]) : out;
}

/* x [sequences, heads, positions, head_dim], rotated from each sequence's offset on. */
mx::array Step::rope_run(const struct plan_op &op, const Constants &constants, const mx::array &x,
                         const mx::array &offset) const
{
    const struct plan_rope &rope = *op.rope.rope;
    auto dims = static_cast<int>(rope.dims);
    mx::array scaled = x;
    if (rope.scale != 1.0f && dims == x.shape(3)) {
        scaled = mx::multiply(x, number(rope.scale));
    } else if (rope.scale != 1.0f) {
        std::vector<mx::array> parts = mx::split(x, mx::Shape{dims}, 3);
        scaled = mx::concatenate({mx::multiply(parts[0], number(rope.scale)), parts[1]}, 3);
    }
    return mx::fast::rope(scaled, dims, rope.interleaved, std::nullopt, 1.0f, offset, constants.vectors[0]);
}

/* The rotation written out, by cosines and sines of each row. */
mx::array Step::rope_by_angles(const struct plan_op &op, const mx::array &x)
{
    const struct plan_rope &rope = *op.rope.rope;
    enum plan_domain domain = model_.plan->slots[op.out.slot].domain;
    uint32_t pairs = rope.dims / 2, n = static_cast<uint32_t>(x.shape(0));
    auto key = std::make_pair(&rope, static_cast<int>(domain));
    auto found = angles_.find(key);
    if (found == angles_.end()) {
        std::vector<float> values(static_cast<size_t>(n) * rope.dims);
        for (uint32_t row = 0; row < n; row++)
            plan_rope_angles(&rope, batch_.positions[token(domain, row)],
                             values.data() + static_cast<size_t>(row) * rope.dims);
        mx::array both = mx::array(values.data(), shape({n, 1, 2, pairs}), mx::float32);
        std::vector<mx::array> halves = mx::split(both, 2, 2);
        mx::Shape form = rope.interleaved ? shape({n, 1, pairs, 1}) : shape({n, 1, 1, pairs});
        found =
            angles_.emplace(key, std::make_pair(mx::reshape(halves[0], form), mx::reshape(halves[1], form)))
                .first;
    }
    const auto &[cosines, sines] = found->second;
    int axis = rope.interleaved ? 3 : 2;
    mx::array heads = mx::astype(mx::reshape(x, shape({n, op.rope.n_heads, op.rope.head_dim})), mx::float32);
    std::vector<mx::array> parts = mx::split(heads, mx::Shape{static_cast<int>(rope.dims)}, 2);
    mx::Shape form =
        rope.interleaved ? shape({n, op.rope.n_heads, pairs, 2}) : shape({n, op.rope.n_heads, 2, pairs});
    std::vector<mx::array> pair = mx::split(mx::reshape(parts[0], form), 2, axis);
    mx::array first = mx::subtract(mx::multiply(pair[0], cosines), mx::multiply(pair[1], sines));
    mx::array second = mx::add(mx::multiply(pair[0], sines), mx::multiply(pair[1], cosines));
    mx::array turned =
        mx::reshape(mx::concatenate({first, second}, axis), shape({n, op.rope.n_heads, rope.dims}));
    return mx::astype(mx::reshape(mx::concatenate({turned, parts[1]}, 2), x.shape()), model_.type);
}

mx::array Step::rope(const struct plan_op &op, const Constants &constants)
{
    mx::array x = slots_.read(op.out);
    if (by_angles(*op.rope.rope))
        return rope_by_angles(op, x);
    const std::vector<Run> &all = runs(op.out);
    uint32_t n = static_cast<uint32_t>(x.shape(0)), heads = op.rope.n_heads, dim = op.rope.head_dim;
    if (all.size() == n) { /* one row each: sequences beside each other */
        std::vector<int32_t> offsets;
        for (const Run &run : all)
            offsets.push_back(static_cast<int32_t>(run.position));
        mx::array offset(offsets.data(), shape({n}), mx::int32);
        return mx::reshape(rope_run(op, constants, mx::reshape(x, shape({n, heads, 1, dim})), offset),
                           x.shape());
    }
    std::vector<mx::array> parts;
    for (const Run &run : all) {
        mx::array part = mx::reshape(rows(x, run.row, run.n), shape({1, run.n, heads, dim}));
        mx::array turned = rope_run(op, constants, mx::transpose(part, {0, 2, 1, 3}),
                                    mx::array(static_cast<int>(run.position)));
        parts.push_back(mx::reshape(mx::transpose(turned, {0, 2, 1, 3}), shape({run.n, heads * dim})));
    }
    return joined(std::move(parts));
}

void Step::kv_store(const struct plan_op &op)
{
    mx::array keys = slots_.read(op.in), values = slots_.read(op.in2);
    for (const Run &run : runs(op.in))
        model_.cache.store(op.kv_store.cache, batch_.sequences[run.sequence], run.position,
                           rows(keys, run.row, run.n), rows(values, run.row, run.n));
}

/* ---- attention ---- */

/* Which of the keys [from, to) the run's rows may see, [rows, keys]. */
static mx::array window_mask(uint32_t window, uint32_t position, uint32_t n, uint32_t from)
{
    mx::array row =
        mx::expand_dims(mx::arange(static_cast<int>(position), static_cast<int>(position + n)), 1);
    mx::array key = mx::expand_dims(mx::arange(static_cast<int>(from), static_cast<int>(position + n)), 0);
    return mx::logical_and(mx::less_equal(key, row),
                           mx::greater(mx::add(key, mx::array(static_cast<int>(window))), row));
}

/* softcap(q k^T) v, which MLX's kernel does not have. queries [1, heads, n, dim], keys and values [1, kv
 * heads, m, dim]. */
static mx::array attend_capped(const struct plan_op &op, const mx::array &queries, const mx::array &keys,
                               const mx::array &values, const mx::array &mask)
{
    int kv = keys.shape(1), n = queries.shape(2), dim = queries.shape(3), each = queries.shape(1) / kv;
    mx::array q = mx::reshape(mx::multiply(queries, mx::array(op.attend.scale, queries.dtype())),
                              {1, kv, each, n, dim});
    mx::array scores = mx::matmul(q, mx::expand_dims(mx::swapaxes(keys, -1, -2), 2));
    mx::array cap(op.attend.softcap, scores.dtype());
    scores = mx::multiply(mx::tanh(mx::divide(scores, cap)), cap);
    scores = mx::where(mask, scores, mx::array(-std::numeric_limits<float>::infinity(), scores.dtype()));
    mx::array out = mx::matmul(mx::softmax(scores, -1, true), mx::expand_dims(values, 2));
    return mx::reshape(out, {1, kv * each, n, dim});
}

mx::array Step::attend_run(const struct plan_op &op, const Constants &constants, const Run &run,
                           const mx::array &queries) const
{
    uint32_t window = model_.plan->caches[op.attend.cache].window, end = run.position + run.n;
    uint32_t from = window && run.position >= window ? run.position - window + 1 : 0;
    const struct backend_sequence &sequence = batch_.sequences[run.sequence];
    mx::array keys = mx::astype(model_.cache.keys(op.attend.cache, sequence, from, end), model_.type);
    mx::array values = mx::astype(model_.cache.values(op.attend.cache, sequence, from, end), model_.type);
    mx::array q = mx::transpose(
        mx::reshape(queries, shape({1, run.n, op.attend.n_heads, op.attend.head_dim})), {0, 2, 1, 3});
    bool windowed = window && end > window && run.n > 1;
    uint32_t reach = window ? window : end;
    mx::array out = q;
    if (op.attend.softcap > 0)
        out = attend_capped(op, q, keys, values, window_mask(reach, run.position, run.n, from));
    else if (windowed)
        out = mx::fast::scaled_dot_product_attention(q, keys, values, op.attend.scale, "array",
                                                     window_mask(reach, run.position, run.n, from),
                                                     constants.vectors[0]);
    else
        out = mx::fast::scaled_dot_product_attention(q, keys, values, op.attend.scale,
                                                     run.n > 1 ? "causal" : "", {}, constants.vectors[0]);
    return mx::reshape(mx::transpose(out, {0, 2, 1, 3}),
                       shape({run.n, op.attend.n_heads * op.attend.head_dim}));
}

mx::array Step::attend(const struct plan_op &op, const Constants &constants) const
{
    mx::array queries = slots_.read(op.in);
    std::vector<mx::array> parts;
    for (const Run &run : runs(op.in))
        parts.push_back(attend_run(op, constants, run, rows(queries, run.row, run.n)));
    return joined(std::move(parts));
}

/* ---- between ---- */

mx::array Step::act_mul(enum plan_activation activation, const mx::array &gate, const mx::array &up) const
{
    switch (activation) {
    case ACTIVATION_SILU:
        return mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), up);
    case ACTIVATION_GELU_TANH: {
        mx::array cube = mx::multiply(number(0.044715f), mx::multiply(gate, mx::multiply(gate, gate)));
        mx::array inner = mx::multiply(number(0.7978845608f), mx::add(gate, cube));
        return mx::multiply(
            mx::multiply(mx::multiply(number(0.5f), gate), mx::add(number(1.0f), mx::tanh(inner))), up);
    }
    case ACTIVATION_GELU: {
        mx::array inner = mx::erf(mx::multiply(gate, number(0.70710678f)));
        return mx::multiply(mx::multiply(gate, mx::multiply(number(0.5f), mx::add(number(1.0f), inner))), up);
    }
    default: {
        mx::array low = number(-PLAN_SWIGLU_OAI_LIMIT), high = number(PLAN_SWIGLU_OAI_LIMIT);
        mx::array g = mx::minimum(gate, high), u = mx::clip(up, low, high);
        mx::array silu = mx::multiply(g, mx::sigmoid(mx::multiply(g, number(PLAN_SWIGLU_OAI_ALPHA))));
        return mx::multiply(silu, mx::add(u, number(1.0f)));
    }
    }
}

mx::array Step::scale(const struct plan_op &op) const
{
    mx::array x = slots_.read(op.in);
    if (op.scale.scale != 1.0f)
        x = mx::multiply(x, number(op.scale.scale));
    if (op.scale.softcap <= 0)
        return x;
    mx::array cap = number(op.scale.softcap);
    return mx::multiply(mx::tanh(mx::divide(x, cap)), cap);
}

/* Weights and numbers are f32 in their slot, whatever is computed in: experts' numbers are to stay whole. */
void Step::route(const struct plan_op &op)
{
    auto active = static_cast<int>(op.route.n_active);
    mx::array shares = mx::softmax(mx::astype(slots_.read(op.in), mx::float32), -1, true);
    mx::array order = mx::argpartition(mx::negative(shares), active - 1, -1);
    mx::array chosen = mx::slice(order, {0, 0}, {order.shape(0), active});
    mx::array weights = mx::take_along_axis(shares, chosen, -1);
    if (op.route.normalize)
        weights = mx::divide(weights, mx::sum(weights, -1, true));
    slots_.write(plan_columns(op.out, 0, op.route.n_active), weights);
    slots_.write(plan_columns(op.out, op.route.n_active, op.route.n_active), mx::astype(chosen, mx::float32));
}

mx::array Step::experts(const struct plan_op &op, const Constants &constants) const
{
    uint32_t active = op.experts.n_active;
    mx::array x = mx::expand_dims(slots_.read(op.in), {1, 2});
    mx::array weights = mx::astype(slots_.read(plan_columns(op.in2, 0, active)), model_.type);
    mx::array chosen = mx::astype(slots_.read(plan_columns(op.in2, active, active)), mx::uint32);
    auto through = [&](const mx::array &in, int which) {
        mx::array out = expert_product(in, *constants.matrices[which], chosen);
        return constants.vectors[which] ? mx::add(out, mx::take(*constants.vectors[which], chosen, 0)) : out;
    };
    mx::array inner = act_mul(op.experts.activation, through(x, 0), through(x, 1));
    mx::array each = mx::squeeze(through(inner, 2), 2);
    return mx::sum(mx::multiply(each, mx::expand_dims(weights, -1)), 1);
}

mx::array Step::select(const struct plan_op &op) const
{
    mx::array x = slots_.read(op.in);
    if (batch_.n_outputs == batch_.n_tokens)
        return x;
    std::vector<int32_t> numbers(batch_.outputs, batch_.outputs + batch_.n_outputs);
    return mx::take(x, mx::array(numbers.data(), shape({batch_.n_outputs}), mx::int32), 0);
}

void Step::execute(uint32_t op_index)
{
    const struct plan_op &op = model_.plan->ops[op_index];
    const Constants &constants = model_.constants[op_index];
    switch (op.kind) {
    case PLAN_EMBED:
        return slots_.write(op.out, embed(op, constants));
    case PLAN_NORM:
        return slots_.write(op.out, norm(op, constants));
    case PLAN_LINEAR:
        return slots_.write(op.out, linear(op, constants));
    case PLAN_ROPE:
        return slots_.write(op.out, rope(op, constants));
    case PLAN_KV_STORE:
        return kv_store(op);
    case PLAN_ATTEND:
        return slots_.write(op.out, attend(op, constants));
    case PLAN_ACT_MUL:
        return slots_.write(op.out, act_mul(op.act_mul.activation, slots_.read(op.in), slots_.read(op.in2)));
    case PLAN_ADD: {
        mx::array change = slots_.read(op.in2);
        float factor = plan_add_scale(&op);
        return slots_.write(op.out, mx::add(slots_.read(op.in),
                                            factor == 1.0f ? change : mx::multiply(change, number(factor))));
    }
    case PLAN_SCALE:
        return slots_.write(op.out, scale(op));
    case PLAN_ROUTE:
        return route(op);
    case PLAN_EXPERTS:
        return slots_.write(op.out, experts(op, constants));
    case PLAN_SELECT:
        return slots_.write(op.out, select(op));
    default:
        throw std::invalid_argument(std::string(op.name) +
                                    ": an operation that the mlx backend does not know");
    }
}

} // namespace llmind
