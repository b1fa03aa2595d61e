/* Operation names leave out the "model." that checkpoints put in front of everything but lm_head.
 *
 * In the last layer keys and values are needed for every token, because later steps attend to them; all else
 * only feeds logits, and is written for the wanted rows. With a prompt of 512 tokens that saves the last
 * layer's MLP and most of its attention, and lm_head, for 511 of them.
 */
#include "model/families/decoder.h"

#include <stdio.h>

#include "model/families/decoder_ops.h"

/* ---- what the parts share ---- */

enum plan_precision decoder_precision(const struct weight *weight, enum role role)
{
    if (!weight || role == ROLE_ROUTER)
        return PRECISION_F32;
    bool integer_codes =
        weight->format == WEIGHT_AFFINE || weight->format == WEIGHT_MXFP4 || weight->format == WEIGHT_NVFP4;
    return integer_codes ? PRECISION_INT8 : PRECISION_F32;
}

void decoder_path(const struct decoder *decoder, const char *name, char path[DECODER_PATH_BYTES])
{
    if (decoder->builder->layer < 0)
        snprintf(path, DECODER_PATH_BYTES, "%smodel.%s", decoder->prefix, name);
    else
        snprintf(path, DECODER_PATH_BYTES, "%smodel.layers.%d.%s", decoder->prefix, decoder->builder->layer,
                 name);
}

const struct weight *decoder_matrix(struct decoder *decoder, const char *name, uint32_t n_experts,
                                    uint32_t rows, uint32_t cols)
{
    char path[DECODER_PATH_BYTES];
    decoder_path(decoder, name, path);
    return weights_matrix(decoder->weights, path, n_experts, rows, cols);
}

void decoder_linear(struct decoder *decoder, const char *op_name, const char *module, enum role role,
                    bool bias, struct plan_view in, struct plan_view out)
{
    char path[DECODER_PATH_BYTES];
    decoder_path(decoder, module, path);
    struct plan_op *op = plan_op(decoder->builder, PLAN_LINEAR, op_name);
    op->in = in;
    op->out = out;
    op->linear.weight = weights_matrix(decoder->weights, path, 0, out.width, in.width);
    op->linear.bias = bias ? weights_vector(decoder->weights, path, "bias", out.width) : NULL;
    op->precision = decoder_precision(op->linear.weight, role);
    if (!decoder->adapter)
        return;
    if (decoder->n_waiting < DECODER_MAX_WAITING)
        decoder->waiting[decoder->n_waiting++] = (struct decoder_layer){module, in, out};
    else if (decoder->weights->status == 0)
        decoder->weights->status =
            error_set(decoder->weights->error, ERROR_INTERNAL,
                      "%s: %d layers wait for their adapters already", path, DECODER_MAX_WAITING);
}

/* out += scale * B A in */
static void adapt_layer(struct decoder *decoder, const struct decoder_layer *layer)
{
    struct plan_builder *builder = decoder->builder;
    char path[DECODER_PATH_BYTES], name[DECODER_PATH_BYTES];
    struct adapter_pair pair;
    decoder_path(decoder, layer->name, path);
    if (builder->status || decoder->weights->status)
        return;
    decoder->weights->status = adapter_find(decoder->adapter, path, layer->out.width, layer->in.width, &pair,
                                            decoder->weights->error);
    if (decoder->weights->status || !pair.a || decoder->adapter->scale == 0)
        return;
    enum plan_domain domain = builder->plan.slots[layer->in.slot].domain;
    struct plan_view thin = decoder->thin[domain],
                     change = plan_columns(decoder->change[domain], 0, layer->out.width);
    snprintf(name, sizeof name, "%s.lora_a", layer->name);
    struct plan_op *op = plan_op(builder, PLAN_LINEAR, name);
    op->in = layer->in;
    op->out = thin;
    op->linear.weight = pair.a;
    op->precision = PRECISION_F32;
    snprintf(name, sizeof name, "%s.lora_b", layer->name);
    op = plan_op(builder, PLAN_LINEAR, name);
    op->in = thin;
    op->out = change;
    op->linear.weight = pair.b;
    op->precision = PRECISION_F32;
    snprintf(name, sizeof name, "%s.lora_add", layer->name);
    op = plan_op(builder, PLAN_ADD, name);
    op->in = op->out = layer->out;
    op->in2 = change;
    op->add.scale = decoder->adapter->scale;
}

void decoder_adapt(struct decoder *decoder)
{
    for (uint32_t i = 0; i < decoder->n_waiting; i++)
        adapt_layer(decoder, &decoder->waiting[i]);
    decoder->n_waiting = 0;
}

void decoder_projection(struct decoder *decoder, const char *name, bool bias, struct plan_view in,
                        struct plan_view out)
{
    decoder_linear(decoder, name, name, ROLE_PROJECTION, bias, in, out);
}

void decoder_norm(struct decoder *decoder, const char *name, uint32_t n_groups, struct plan_view in,
                  struct plan_view out)
{
    char path[DECODER_PATH_BYTES];
    decoder_path(decoder, name, path);
    struct plan_op *op = plan_op(decoder->builder, PLAN_NORM, name);
    op->in = in;
    op->out = out;
    op->norm.weight = weights_norm(decoder->weights, path, in.width / n_groups, decoder->norm_base);
    op->norm.eps = decoder->spec->norm_eps;
    op->norm.n_groups = n_groups;
}

void decoder_add(struct decoder *decoder, const char *name, const struct decoder_rows *rows)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_ADD, name);
    op->in = op->out = rows->residual;
    op->in2 = rows->branch;
    op->add.scale = decoder->spec->residual_scale;
}

/* ---- the frame ---- */

static void write_layer(struct decoder *decoder, uint32_t layer)
{
    bool last = layer + 1 == decoder->spec->n_layers;
    const struct decoder_rows *rows = last ? &decoder->outputs : &decoder->tokens;
    decoder->builder->layer = (int32_t)layer;
    decoder_attention(decoder, layer, rows);
    decoder_mlp(decoder, layer, rows);
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
    decoder->qkv = plan_slot(decoder->builder, "qkv", q_width + 2 * kv_width, DOMAIN_TOKENS);
    decoder->key = plan_columns(decoder->qkv, q_width, kv_width);
    decoder->value = plan_columns(decoder->qkv, q_width + kv_width, kv_width);
    add_rows(decoder, DOMAIN_TOKENS, plan_columns(decoder->qkv, 0, q_width), &decoder->tokens);
    struct plan_view query = plan_slot(decoder->builder, "query", q_width, DOMAIN_OUTPUTS);
    add_rows(decoder, DOMAIN_OUTPUTS, query, &decoder->outputs);
    uint32_t widest = spec->hidden > 2 * spec->ffn ? spec->hidden : 2 * spec->ffn;
    widest = widest > decoder->qkv.width ? widest : decoder->qkv.width;
    widest = widest > spec->experts.n_experts ? widest : spec->experts.n_experts;
    for (enum plan_domain domain = DOMAIN_TOKENS; decoder->adapter && domain <= DOMAIN_OUTPUTS; domain++) {
        decoder->thin[domain] = plan_slot(decoder->builder, "lora_thin", decoder->adapter->rank, domain);
        decoder->change[domain] = plan_slot(decoder->builder, "lora_change", widest, domain);
    }
}

/* 0, or the arena's memory is short. */
static int add_ropes(struct decoder *decoder)
{
    const struct model_spec *spec = decoder->spec;
    struct arena *arena = decoder->builder->arena;
    uint32_t dims = rope_dims(&spec->rope, spec->head_dim);
    bool local = spec->rope_local.theta > 0, grows = spec->query_grow_from > 0;
    decoder->rope = rope_build(&spec->rope, dims, arena);
    decoder->rope_local =
        local ? rope_build(&spec->rope_local, rope_dims(&spec->rope_local, spec->head_dim), arena) : NULL;
    struct plan_rope *query = grows ? arena_alloc(arena, 1, sizeof *query) : NULL;
    if (!decoder->rope || (local && !decoder->rope_local) || (grows && !query))
        return error_memory(decoder->builder->error, "rotary frequencies", spec->head_dim * sizeof(float));
    if (query) {
        *query = *decoder->rope;
        query->grow_from = spec->query_grow_from;
        query->grow_beta = spec->query_grow_beta;
    }
    decoder->rope_query = query;
    return 0;
}

static void write_embedding(struct decoder *decoder, const struct weight *embedding)
{
    struct plan_op *embed = plan_op(decoder->builder, PLAN_EMBED, "embed_tokens");
    embed->out = decoder->tokens.residual;
    embed->embed.weight = embedding;
    embed->embed.scale = decoder->spec->embedding_scale;
}

static void write_head(struct decoder *decoder, const struct weight *embedding)
{
    const struct model_spec *spec = decoder->spec;
    struct weights *weights = decoder->weights;
    char path[DECODER_PATH_BYTES];
    snprintf(path, sizeof path, "%slm_head", decoder->prefix);
    decoder_norm(decoder, "norm", 1, decoder->outputs.residual, decoder->outputs.normed);
    bool tied = spec->tied == TIED_YES;
    if (spec->tied == TIED_UNKNOWN)
        tied = weights->checkpoint ? !weights_have(weights, path, "weight") : spec->tied_without_tensors;
    if (tied)
        weights_ignore(weights, path, "weight");
    struct plan_view logits = plan_slot(decoder->builder, "logits", spec->vocab, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(decoder->builder, PLAN_LINEAR, "lm_head");
    op->in = decoder->outputs.normed;
    op->out = logits;
    op->linear.weight = tied ? embedding : weights_matrix(weights, path, 0, spec->vocab, spec->hidden);
    op->precision = decoder_precision(op->linear.weight, ROLE_HEAD);
    if (spec->logits_scale != 1 || spec->logits_softcap > 0) {
        struct plan_op *scale = plan_op(decoder->builder, PLAN_SCALE, "lm_head.scale");
        scale->in = scale->out = logits;
        scale->scale.scale = spec->logits_scale;
        scale->scale.softcap = spec->logits_softcap;
    }
    decoder->builder->plan.logits = logits;
    decoder->builder->plan.embedding = decoder->outputs.normed;
}

void decoder_init(struct decoder *decoder, struct plan_builder *builder, struct weights *weights,
                  const struct model_spec *spec, const char *prefix)
{
    *decoder = (struct decoder){
        .builder = builder,
        .weights = weights,
        .spec = spec,
        .prefix = prefix,
        .qkv_bias = spec->attention_bias,
        .output_bias = spec->attention_bias,
        .mlp_bias = spec->mlp_bias,
        .norms = {.attention_in = "input_layernorm", .mlp_in = "post_attention_layernorm"},
        .experts = {.router = "mlp.gate", .stack = "mlp.switch_mlp", .single = "mlp.experts.0.gate_proj"},
    };
}

int decoder_write(struct decoder *decoder)
{
    const struct model_spec *spec = decoder->spec;
    struct plan_builder *builder = decoder->builder;
    int status = add_ropes(decoder);
    if (status)
        return status;
    builder->plan.n_layers = spec->n_layers;
    builder->plan.hidden = spec->hidden;
    builder->plan.vocab = spec->vocab;
    builder->plan.max_context = spec->context;
    add_slots(decoder);
    const struct weight *embedding = decoder_matrix(decoder, "embed_tokens", 0, spec->vocab, spec->hidden);
    write_embedding(decoder, embedding);
    for (uint32_t i = 0; i < spec->n_layers && decoder->weights->status == 0 && builder->status == 0; i++)
        write_layer(decoder, i);
    write_head(decoder, embedding);
    return decoder->weights->status ? decoder->weights->status : plan_finish(builder);
}

/* ---- windows ---- */

uint32_t decoder_typed_window(const struct model_spec *spec, uint32_t layer)
{
    return spec->layer_types && spec->layer_types[layer] == LAYER_SLIDING ? spec->sliding_window : 0;
}

uint32_t decoder_qwen_window(const struct model_spec *spec, uint32_t layer)
{
    if (spec->layer_types)
        return decoder_typed_window(spec, layer);
    return spec->use_sliding_window && layer >= spec->max_window_layers ? spec->sliding_window : 0;
}

uint32_t decoder_pattern_window(const struct model_spec *spec, uint32_t layer)
{
    if (spec->layer_types)
        return decoder_typed_window(spec, layer);
    return (layer + 1) % spec->sliding_pattern != 0 ? spec->sliding_window : 0;
}
