/* Attention of one layer: norms, projections, rotation, cache, and the way back into the residual. */
#include <math.h>

#include "model/families/decoder_ops.h"

static uint32_t window_of(const struct decoder *decoder, uint32_t layer)
{
    return decoder->window ? decoder->window(decoder->spec, layer) : 0;
}

static void write_select(struct decoder *decoder, const char *name, struct plan_view in, struct plan_view out)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_SELECT, name);
    op->in = in;
    op->out = out;
}

static void write_rope(struct decoder *decoder, const char *name, const struct plan_rope *rope,
                       uint32_t n_heads, struct plan_view view)
{
    struct plan_op *op = plan_op(decoder->builder, PLAN_ROPE, name);
    op->out = view;
    op->rope.rope = rope;
    op->rope.n_heads = n_heads;
    op->rope.head_dim = decoder->spec->head_dim;
}

static void write_ropes(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows)
{
    const struct model_spec *spec = decoder->spec;
    if (spec->no_rope && spec->no_rope[layer])
        return;
    const struct plan_rope *key = decoder->rope, *query = decoder->rope_query ? decoder->rope_query : key;
    if (decoder->rope_local && window_of(decoder, layer))
        key = query = decoder->rope_local;
    write_rope(decoder, "self_attn.rope_q", query, spec->n_heads, rows->query);
    write_rope(decoder, "self_attn.rope_k", key, spec->n_kv_heads, decoder->key);
}

static uint32_t add_cache(struct decoder *decoder, uint32_t layer)
{
    const struct model_spec *spec = decoder->spec;
    uint32_t window = window_of(decoder, layer);
    struct plan_cache cache = {.kind = window ? CACHE_WINDOW : CACHE_FULL,
                               .layer = (int32_t)layer,
                               .n_kv_heads = spec->n_kv_heads,
                               .k_dim = spec->head_dim,
                               .v_dim = spec->head_dim,
                               .window = window};
    return plan_cache(decoder->builder, &cache);
}

/* What the projections read. */
static struct plan_view input_of(const struct decoder *decoder, const struct decoder_rows *rows)
{
    return decoder->norms.attention_in ? rows->normed : rows->residual;
}

/* Projects queries for `rows` and keys and values for all tokens; in the last layer the rows are selected
 * between the two. One matrix for all three does not let that be: its queries are selected after it. */
static void write_qkv(struct decoder *decoder, const struct decoder_rows *rows)
{
    const struct decoder_rows *tokens = &decoder->tokens;
    struct plan_view all = input_of(decoder, tokens);
    bool last = rows != tokens, bias = decoder->qkv_bias, fused = decoder->fused_qkv;
    if (fused)
        decoder_projection(decoder, "self_attn.qkv_proj", bias, all, decoder->qkv);
    if (!fused && !last)
        decoder_projection(decoder, "self_attn.q_proj", bias, all, tokens->query);
    if (!fused) {
        decoder_projection(decoder, "self_attn.k_proj", bias, all, decoder->key);
        decoder_projection(decoder, "self_attn.v_proj", bias, all, decoder->value);
    }
    decoder_adapt(decoder);
    if (!last)
        return;
    if (fused)
        write_select(decoder, "select_query", tokens->query, rows->query);
    else if (decoder->norms.attention_in)
        write_select(decoder, "select_normed", tokens->normed, rows->normed);
    write_select(decoder, "select_residual", tokens->residual, rows->residual);
    if (!fused)
        decoder_projection(decoder, "self_attn.q_proj", bias, input_of(decoder, rows), rows->query);
    decoder_adapt(decoder);
}

static void write_qk_norms(struct decoder *decoder, const struct decoder_rows *rows)
{
    const struct model_spec *spec = decoder->spec;
    if (decoder->qk_norm == QK_NORM_NONE)
        return;
    bool heads = decoder->qk_norm == QK_NORM_HEADS;
    decoder_norm(decoder, "self_attn.q_norm", heads ? spec->n_heads : 1, rows->query, rows->query);
    decoder_norm(decoder, "self_attn.k_norm", heads ? spec->n_kv_heads : 1, decoder->key, decoder->key);
}

static void write_attend(struct decoder *decoder, uint32_t cache, const struct decoder_rows *rows)
{
    const struct model_spec *spec = decoder->spec;
    char path[DECODER_PATH_BYTES];
    decoder_path(decoder, "self_attn", path);
    struct plan_op *attend = plan_op(decoder->builder, PLAN_ATTEND, "self_attn.attend");
    attend->in = rows->query;
    attend->out = rows->attended;
    attend->attend.cache = cache;
    attend->attend.n_heads = spec->n_heads;
    attend->attend.head_dim = spec->head_dim;
    attend->attend.scale =
        spec->attention_scale > 0 ? spec->attention_scale : (float)(1 / sqrt(spec->head_dim));
    attend->attend.softcap = spec->attention_softcap;
    attend->attend.sinks =
        decoder->sinks ? weights_vector(decoder->weights, path, "sinks", spec->n_heads) : NULL;
}

void decoder_attention(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows)
{
    if (decoder->norms.attention_in)
        decoder_norm(decoder, decoder->norms.attention_in, 1, decoder->tokens.residual,
                     decoder->tokens.normed);
    write_qkv(decoder, rows);
    write_qk_norms(decoder, rows);
    write_ropes(decoder, layer, rows);
    uint32_t cache = add_cache(decoder, layer);
    struct plan_op *store = plan_op(decoder->builder, PLAN_KV_STORE, "self_attn.kv_store");
    store->in = decoder->key;
    store->in2 = decoder->value;
    store->kv_store.cache = cache;
    write_attend(decoder, cache, rows);
    decoder_projection(decoder, "self_attn.o_proj", decoder->output_bias, rows->attended, rows->branch);
    decoder_adapt(decoder);
    if (decoder->norms.attention_out)
        decoder_norm(decoder, decoder->norms.attention_out, 1, rows->branch, rows->branch);
    decoder_add(decoder, "self_attn.add", rows);
}
