/* Operation names leave out the "model." that checkpoints put in front of everything but lm_head.
 *
 * In the last layer keys and values are needed for every token, because later steps attend to them; all else
 * only feeds logits, and is written for the wanted rows. With a prompt of 512 tokens that saves the last
 * layer's MLP and most of its attention, and lm_head, for 511 of them.
 */
#include "model/families/decoder.h"

#include <math.h>
#include <stdio.h>

enum { PATH_CAPACITY = 160 };

enum role { ROLE_PROJECTION, ROLE_HEAD, ROLE_ROUTER };

/* The one place where precision is decided. Integer codes (affine, and e2m1 whose doubles are integers) take
 * int8 activations, which is what makes them fast; formats without them are multiplied in f32 anyway. Routers
 * stay f32: a rounding that swaps two experts changes the answer in a jump, and a router is under a
 * thousandth of a layer's bytes. */
static enum plan_precision precision_for(const struct weight *weight, enum role role)
{
    if (!weight || role == ROLE_ROUTER)
        return PRECISION_F32;
    bool integer_codes =
        weight->format == WEIGHT_AFFINE || weight->format == WEIGHT_MXFP4 || weight->format == WEIGHT_NVFP4;
    return integer_codes ? PRECISION_INT8 : PRECISION_F32;
}

/* "model.layers.3.NAME", or "model.NAME" outside the layers. */
static void module_path(const struct decoder *decoder, const char *name, char path[PATH_CAPACITY])
{
    if (decoder->builder->layer < 0)
        snprintf(path, PATH_CAPACITY, "model.%s", name);
    else
        snprintf(path, PATH_CAPACITY, "model.layers.%d.%s", decoder->builder->layer, name);
}

static const struct weight *matrix(struct decoder *decoder, const char *name, uint32_t n_experts,
                                   uint32_t rows, uint32_t cols)
{
    char path[PATH_CAPACITY];
    module_path(decoder, name, path);
    return weights_matrix(decoder->weights, path, n_experts, rows, cols);
}

static void write_linear(struct decoder *decoder, const char *op_name, const char *module, enum role role,
                         bool bias, struct plan_view in, struct plan_view out)
{
    char path[PATH_CAPACITY];
    module_path(decoder, module, path);
    struct plan_op *op = plan_op(decoder->builder, PLAN_LINEAR, op_name);
    op->in = in;
    op->out = out;
    op->linear.weight = weights_matrix(decoder->weights, path, 0, out.width, in.width);
    op->linear.bias = bias ? weights_vector(decoder->weights, path, "bias", out.width) : NULL;
    op->precision = precision_for(op->linear.weight, role);
}

static void write_projection(struct decoder *decoder, const char *name, bool bias, struct plan_view in,
                             struct plan_view out)
{
    write_linear(decoder, name, name, ROLE_PROJECTION, bias, in, out);
}

static void write_norm(struct decoder *decoder, const char *name, uint32_t n_groups, struct plan_view in,
                       struct plan_view out)
{
    char path[PATH_CAPACITY];
    module_path(decoder, name, path);
    struct plan_op *op = plan_op(decoder->builder, PLAN_NORM, name);
    op->in = in;
    op->out = out;
    op->norm.weight = weights_vector(decoder->weights, path, "weight", in.width / n_groups);
    op->norm.eps = decoder->spec->norm_eps;
    op->norm.n_groups = n_groups;
}

static void write_add(struct decoder *decoder, const char *name, const struct decoder_rows *rows)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_ADD, name);
    op->in = op->out = rows->residual;
    op->in2 = rows->branch;
}

static void write_select(struct decoder *decoder, const char *name, struct plan_view in, struct plan_view out)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_SELECT, name);
    op->in = in;
    op->out = out;
}

static void write_rope(struct decoder *decoder, const char *name, uint32_t n_heads, struct plan_view view)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_ROPE, name);
    op->out = view;
    op->rope.rope = decoder->rope;
    op->rope.n_heads = n_heads;
    op->rope.head_dim = decoder->spec->head_dim;
}

static uint32_t add_cache(struct decoder *decoder, uint32_t layer)
{
    const struct model_spec *spec = decoder->spec;
    uint32_t window = decoder->window ? decoder->window(spec, layer) : 0;
    struct plan_cache cache = {.kind = window ? CACHE_WINDOW : CACHE_FULL,
                               .layer = (int32_t)layer,
                               .n_kv_heads = spec->n_kv_heads,
                               .k_dim = spec->head_dim,
                               .v_dim = spec->head_dim,
                               .window = window};
    return plan_cache(decoder->builder, &cache);
}

/* Projects queries for `rows` and keys and values for all tokens; in the last layer the rows are selected
 * between the two. */
static void write_qkv(struct decoder *decoder, const struct decoder_rows *rows)
{
    const struct decoder_rows *tokens = &decoder->tokens;
    bool last = rows != tokens;
    if (!last)
        write_projection(decoder, "self_attn.q_proj", decoder->qkv_bias, tokens->normed, tokens->query);
    write_projection(decoder, "self_attn.k_proj", decoder->qkv_bias, tokens->normed, decoder->key);
    write_projection(decoder, "self_attn.v_proj", decoder->qkv_bias, tokens->normed, decoder->value);
    if (last) {
        write_select(decoder, "select_normed", tokens->normed, rows->normed);
        write_select(decoder, "select_residual", tokens->residual, rows->residual);
        write_projection(decoder, "self_attn.q_proj", decoder->qkv_bias, rows->normed, rows->query);
    }
}

static void write_attention(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows)
{
    const struct model_spec *spec = decoder->spec;
    write_norm(decoder, "input_layernorm", 1, decoder->tokens.residual, decoder->tokens.normed);
    write_qkv(decoder, rows);
    if (decoder->qk_norm) {
        write_norm(decoder, "self_attn.q_norm", spec->n_heads, rows->query, rows->query);
        write_norm(decoder, "self_attn.k_norm", spec->n_kv_heads, decoder->key, decoder->key);
    }
    write_rope(decoder, "self_attn.rope_q", spec->n_heads, rows->query);
    write_rope(decoder, "self_attn.rope_k", spec->n_kv_heads, decoder->key);
    uint32_t cache = add_cache(decoder, layer);
    struct plan_op *store = plan_op(decoder->builder, PLAN_KV_STORE, "self_attn.kv_store");
    store->in = decoder->key;
    store->in2 = decoder->value;
    store->kv_store.cache = cache;
    struct plan_op *attend = plan_op(decoder->builder, PLAN_ATTEND, "self_attn.attend");
    attend->in = rows->query;
    attend->out = rows->attended;
    attend->attend.cache = cache;
    attend->attend.n_heads = spec->n_heads;
    attend->attend.head_dim = spec->head_dim;
    attend->attend.scale = (float)(1 / sqrt(spec->head_dim));
    write_projection(decoder, "self_attn.o_proj", decoder->output_bias, rows->attended, rows->branch);
    write_add(decoder, "self_attn.add", rows);
}

static void write_mlp(struct decoder *decoder, const struct decoder_rows *rows)
{
    uint32_t ffn = decoder->spec->ffn;
    struct plan_view gate = plan_columns(rows->gate_up, 0, ffn), up = plan_columns(rows->gate_up, ffn, ffn);
    write_projection(decoder, "mlp.gate_proj", decoder->mlp_bias, rows->normed, gate);
    write_projection(decoder, "mlp.up_proj", decoder->mlp_bias, rows->normed, up);
    struct plan_op *act = plan_op(decoder->builder, PLAN_ACT_MUL, "mlp.act_mul");
    act->in = act->out = gate;
    act->in2 = up;
    act->act_mul.activation = decoder->spec->activation;
    write_projection(decoder, "mlp.down_proj", decoder->mlp_bias, gate, rows->branch);
}

/* Hugging Face's own checkpoints keep every expert's matrices apart; a kernel that uses weights where they
 * lie needs them stacked, as mlx-lm's converter writes them. */
static void check_stacked(struct decoder *decoder)
{
    char path[PATH_CAPACITY];
    module_path(decoder, "mlp.experts.0.gate_proj", path);
    if (decoder->weights->status == 0 && weights_have(decoder->weights, path, "weight"))
        decoder->weights->status =
            error_set(decoder->weights->error, ERROR_UNSUPPORTED,
                      "the experts' weights are stored one by one (%s); `llmind convert` makes a model "
                      "of it that has them stacked",
                      path);
}

static void write_experts(struct decoder *decoder, const struct decoder_rows *rows)
{
    const struct spec_experts *experts = &decoder->spec->experts;
    check_stacked(decoder);
    write_linear(decoder, "mlp.router", "mlp.gate", ROLE_ROUTER, false, rows->normed, rows->router);
    struct plan_op *route = plan_op(decoder->builder, PLAN_ROUTE, "mlp.route");
    route->in = rows->router;
    route->out = rows->routes;
    route->route.n_experts = experts->n_experts;
    route->route.n_active = experts->n_active;
    route->route.normalize = experts->normalize;
    struct plan_op *op = plan_op(decoder->builder, PLAN_EXPERTS, "mlp.experts");
    uint32_t n = experts->n_experts, hidden = decoder->spec->hidden;
    op->in = rows->normed;
    op->in2 = rows->routes;
    op->out = rows->branch;
    op->experts.gate = matrix(decoder, "mlp.switch_mlp.gate_proj", n, experts->ffn, hidden);
    op->experts.up = matrix(decoder, "mlp.switch_mlp.up_proj", n, experts->ffn, hidden);
    op->experts.down = matrix(decoder, "mlp.switch_mlp.down_proj", n, hidden, experts->ffn);
    op->experts.activation = decoder->spec->activation;
    op->experts.n_active = experts->n_active;
    op->precision = precision_for(op->experts.gate, ROLE_PROJECTION);
}

static void write_layer(struct decoder *decoder, uint32_t layer)
{
    const struct model_spec *spec = decoder->spec;
    const struct decoder_rows *rows = layer + 1 == spec->n_layers ? &decoder->outputs : &decoder->tokens;
    decoder->builder->layer = (int32_t)layer;
    write_attention(decoder, layer, rows);
    write_norm(decoder, "post_attention_layernorm", 1, rows->residual, rows->normed);
    if (spec->experts.sparse && spec->experts.sparse[layer])
        write_experts(decoder, rows);
    else
        write_mlp(decoder, rows);
    write_add(decoder, "mlp.add", rows);
    decoder->builder->layer = -1;
}

static void add_rows(struct decoder *decoder, enum plan_domain domain, struct plan_view query,
                     struct decoder_rows *rows)
{
    struct plan_builder *builder = decoder->builder;
    const struct model_spec *spec = decoder->spec;
    bool dense = false, sparse = false;
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        bool experts = spec->experts.sparse && spec->experts.sparse[i];
        dense = dense || !experts;
        sparse = sparse || experts;
    }
    rows->residual = plan_slot(builder, "residual", spec->hidden, domain);
    rows->normed = plan_slot(builder, "normed", spec->hidden, domain);
    rows->branch = plan_slot(builder, "branch", spec->hidden, domain);
    rows->query = query;
    rows->attended = plan_slot(builder, "attended", query.width, domain);
    if (dense)
        rows->gate_up = plan_slot(builder, "gate_up", 2 * spec->ffn, domain);
    if (sparse) {
        rows->router = plan_slot(builder, "router", spec->experts.n_experts, domain);
        rows->routes = plan_slot(builder, "routes", 2 * spec->experts.n_active, domain);
    }
}

static void add_slots(struct decoder *decoder)
{
    const struct model_spec *spec = decoder->spec;
    uint32_t q_width = spec->n_heads * spec->head_dim, kv_width = spec->n_kv_heads * spec->head_dim;
    struct plan_view qkv = plan_slot(decoder->builder, "qkv", q_width + 2 * kv_width, DOMAIN_TOKENS);
    decoder->key = plan_columns(qkv, q_width, kv_width);
    decoder->value = plan_columns(qkv, q_width + kv_width, kv_width);
    add_rows(decoder, DOMAIN_TOKENS, plan_columns(qkv, 0, q_width), &decoder->tokens);
    struct plan_view query = plan_slot(decoder->builder, "query", q_width, DOMAIN_OUTPUTS);
    add_rows(decoder, DOMAIN_OUTPUTS, query, &decoder->outputs);
}

static void write_head(struct decoder *decoder, const struct weight *embedding)
{
    const struct model_spec *spec = decoder->spec;
    struct weights *weights = decoder->weights;
    write_norm(decoder, "norm", 1, decoder->outputs.residual, decoder->outputs.normed);
    bool tied = spec->tied == TIED_YES;
    if (spec->tied == TIED_UNKNOWN)
        tied = !weights_have(weights, "lm_head", "weight");
    if (tied)
        weights_ignore(weights, "lm_head", "weight");
    struct plan_view logits = plan_slot(decoder->builder, "logits", spec->vocab, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(decoder->builder, PLAN_LINEAR, "lm_head");
    op->in = decoder->outputs.normed;
    op->out = logits;
    op->linear.weight = tied ? embedding : weights_matrix(weights, "lm_head", 0, spec->vocab, spec->hidden);
    op->precision = precision_for(op->linear.weight, ROLE_HEAD);
    decoder->builder->plan.logits = logits;
}

int decoder_write(struct decoder *decoder)
{
    const struct model_spec *spec = decoder->spec;
    struct plan_builder *builder = decoder->builder;
    decoder->rope = rope_build(&spec->rope, spec->head_dim, builder->arena);
    if (!decoder->rope)
        return error_memory(builder->error, "rotary frequencies", spec->head_dim * sizeof(float));
    builder->plan.n_layers = spec->n_layers;
    builder->plan.hidden = spec->hidden;
    builder->plan.vocab = spec->vocab;
    builder->plan.max_context = spec->context;
    add_slots(decoder);
    const struct weight *embedding = matrix(decoder, "embed_tokens", 0, spec->vocab, spec->hidden);
    struct plan_op *embed = plan_op(builder, PLAN_EMBED, "embed_tokens");
    embed->out = decoder->tokens.residual;
    embed->embed.weight = embedding;
    embed->embed.scale = 1;
    for (uint32_t i = 0; i < spec->n_layers && decoder->weights->status == 0 && builder->status == 0; i++)
        write_layer(decoder, i);
    write_head(decoder, embedding);
    return decoder->weights->status ? decoder->weights->status : plan_finish(builder);
}

uint32_t decoder_qwen_window(const struct model_spec *spec, uint32_t layer)
{
    if (spec->layer_types)
        return spec->layer_types[layer] == LAYER_SLIDING ? spec->sliding_window : 0;
    return spec->use_sliding_window && layer >= spec->max_window_layers ? spec->sliding_window : 0;
}
