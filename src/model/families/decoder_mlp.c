/* The second half of a layer: a gated MLP, or routed experts. */
#include <stdio.h>

#include "model/families/decoder_ops.h"

static struct plan_view input_of(const struct decoder *decoder, const struct decoder_rows *rows)
{
    return decoder->norms.mlp_in ? rows->normed : rows->residual;
}

static void write_dense(struct decoder *decoder, const struct decoder_rows *rows)
{
    uint32_t ffn = decoder->spec->ffn;
    struct plan_view in = input_of(decoder, rows);
    struct plan_view gate = plan_columns(rows->gate_up, 0, ffn), up = plan_columns(rows->gate_up, ffn, ffn);
    if (decoder->fused_gate_up) {
        decoder_projection(decoder, "mlp.gate_up_proj", decoder->mlp_bias, in, rows->gate_up);
    } else {
        decoder_projection(decoder, "mlp.gate_proj", decoder->mlp_bias, in, gate);
        decoder_projection(decoder, "mlp.up_proj", decoder->mlp_bias, in, up);
    }
    decoder_adapt(decoder);
    struct plan_op *act = plan_op(decoder->builder, PLAN_ACT_MUL, "mlp.act_mul");
    act->in = act->out = gate;
    act->in2 = up;
    act->act_mul.activation = decoder->spec->activation;
    decoder_projection(decoder, "mlp.down_proj", decoder->mlp_bias, gate, rows->branch);
    decoder_adapt(decoder);
}

/* Hugging Face's own checkpoints keep every expert's matrices apart; a kernel that uses weights where they
 * lie needs them stacked, as mlx-lm's converter writes them. */
static void check_stacked(struct decoder *decoder)
{
    char path[DECODER_PATH_BYTES];
    if (!decoder->experts.single)
        return;
    decoder_path(decoder, decoder->experts.single, path);
    if (decoder->weights->status == 0 && weights_have(decoder->weights, path, "weight"))
        decoder->weights->status =
            error_set(decoder->weights->error, ERROR_UNSUPPORTED,
                      "the experts' weights are stored one by one (%s); `llmind convert` makes a model "
                      "of it that has them stacked",
                      path);
}

/* STACK.NAME: its matrices, and where the family has them their biases. */
static const struct weight *expert_matrix(struct decoder *decoder, const char *name, uint32_t rows,
                                          uint32_t cols, const float **bias)
{
    uint32_t n = decoder->spec->experts.n_experts;
    char module[DECODER_PATH_BYTES], path[DECODER_PATH_BYTES];
    snprintf(module, sizeof module, "%s.%s", decoder->experts.stack, name);
    decoder_path(decoder, module, path);
    *bias = decoder->experts.bias ? weights_vectors(decoder->weights, path, "bias", n, rows) : NULL;
    return weights_matrix(decoder->weights, path, n, rows, cols);
}

static void write_experts(struct decoder *decoder, const struct decoder_rows *rows)
{
    const struct spec_experts *experts = &decoder->spec->experts;
    struct plan_view in = input_of(decoder, rows);
    check_stacked(decoder);
    decoder_linear(decoder, "mlp.router", decoder->experts.router, ROLE_ROUTER, decoder->experts.bias, in,
                   rows->router);
    decoder_adapt(decoder);
    struct plan_op *route = plan_op(decoder->builder, PLAN_ROUTE, "mlp.route");
    route->in = rows->router;
    route->out = rows->routes;
    route->route.n_experts = experts->n_experts;
    route->route.n_active = experts->n_active;
    route->route.normalize = experts->normalize;
    struct plan_op *op = plan_op(decoder->builder, PLAN_EXPERTS, "mlp.experts");
    uint32_t ffn = experts->ffn, hidden = decoder->spec->hidden;
    op->in = in;
    op->in2 = rows->routes;
    op->out = rows->branch;
    op->experts.gate = expert_matrix(decoder, "gate_proj", ffn, hidden, &op->experts.gate_bias);
    op->experts.up = expert_matrix(decoder, "up_proj", ffn, hidden, &op->experts.up_bias);
    op->experts.down = expert_matrix(decoder, "down_proj", hidden, ffn, &op->experts.down_bias);
    op->experts.activation = decoder->spec->activation;
    op->experts.n_active = experts->n_active;
    op->precision = decoder_precision(op->experts.gate, ROLE_PROJECTION);
}

void decoder_mlp(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows)
{
    const struct model_spec *spec = decoder->spec;
    if (decoder->norms.mlp_in)
        decoder_norm(decoder, decoder->norms.mlp_in, 1, rows->residual, rows->normed);
    if (spec->experts.sparse && spec->experts.sparse[layer])
        write_experts(decoder, rows);
    else
        write_dense(decoder, rows);
    if (decoder->norms.mlp_out)
        decoder_norm(decoder, decoder->norms.mlp_out, 1, rows->branch, rows->branch);
    decoder_add(decoder, "mlp.add", rows);
}
