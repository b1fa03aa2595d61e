#include "model/spec.h"

#include <string.h>

#include "model/json_file.h"

static const char WHERE[] = "config.json";

static void read_dimensions(struct json_fields *fields, struct model_spec *spec)
{
    spec->n_layers = json_fields_count(fields, "num_hidden_layers", JSON_REQUIRED_COUNT, 1, SPEC_MAX_LAYERS);
    spec->hidden = json_fields_count(fields, "hidden_size", JSON_REQUIRED_COUNT, 1, SPEC_MAX_HIDDEN);
    spec->n_heads = json_fields_count(fields, "num_attention_heads", JSON_REQUIRED_COUNT, 1, SPEC_MAX_HEADS);
    spec->n_kv_heads = json_fields_count(fields, "num_key_value_heads", spec->n_heads, 1, SPEC_MAX_HEADS);
    spec->ffn = json_fields_count(fields, "intermediate_size", JSON_REQUIRED_COUNT, 1, SPEC_MAX_FFN);
    spec->vocab = json_fields_count(fields, "vocab_size", JSON_REQUIRED_COUNT, 1, SPEC_MAX_VOCAB);
    spec->head_dim = json_fields_count(fields, "head_dim", 0, 0, SPEC_MAX_HEAD_DIM);
    if (fields->status)
        return;
    if (spec->head_dim == 0) {
        spec->head_dim = spec->hidden / spec->n_heads;
        if (spec->hidden % spec->n_heads || spec->head_dim > SPEC_MAX_HEAD_DIM)
            json_fields_fail(fields, ERROR_INVALID, "num_attention_heads", "does not divide hidden_size");
    }
    if (spec->head_dim % 2)
        json_fields_fail(fields, ERROR_INVALID, "head_dim", "must be even");
    if (spec->n_heads % spec->n_kv_heads)
        json_fields_fail(fields, ERROR_INVALID, "num_key_value_heads", "does not divide num_attention_heads");
}

static void read_activation(struct json_fields *fields, struct model_spec *spec)
{
    static const struct {
        const char *name;
        enum plan_activation activation;
    } known[] = {{"silu", ACTIVATION_SILU},
                 {"swish", ACTIVATION_SILU},
                 {"gelu", ACTIVATION_GELU},
                 {"gelu_new", ACTIVATION_GELU_TANH},
                 {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH}};
    const char *name = json_fields_string(fields, "hidden_act", "silu");
    name = json_fields_string(fields, "hidden_activation", name); /* Gemma's, which overrides the other */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            spec->activation = known[i].activation;
            return;
        }
    json_fields_fail(fields, ERROR_UNSUPPORTED, "hidden_act", "names an activation that is not supported");
}

static void read_layer_types(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    const json_t *list = json_fields_array(fields, "layer_types", SPEC_MAX_LAYERS);
    if (!list)
        return;
    if (json_array_size(list) != spec->n_layers) {
        json_fields_fail(fields, ERROR_INVALID, "layer_types", "must have one entry per layer");
        return;
    }
    enum layer_type *types = arena_alloc(arena, spec->n_layers, sizeof *types);
    if (!types) {
        fields->status = error_memory(fields->error, "layer types", spec->n_layers * sizeof *types);
        return;
    }
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && strcmp(name, "sliding_attention") == 0) {
            types[i] = LAYER_SLIDING;
            if (spec->sliding_window == 0)
                json_fields_fail(fields, ERROR_INVALID, "sliding_window",
                                 "is missing, and layer_types use it");
        } else if (!name || strcmp(name, "full_attention") != 0) {
            json_fields_fail(fields, ERROR_UNSUPPORTED, "layer_types",
                             "may only be full_attention and sliding_attention");
            return;
        }
    }
    spec->layer_types = types;
}

static void read_windows(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    spec->sliding_window = json_fields_count(fields, "sliding_window", 0, 0, SPEC_MAX_CONTEXT);
    spec->use_sliding_window = json_fields_bool(fields, "use_sliding_window", false);
    spec->max_window_layers = json_fields_count(fields, "max_window_layers", 28, 0, SPEC_MAX_LAYERS);
    read_layer_types(fields, arena, spec);
}

/* mlp_only_layers: the layers of the list keep a dense MLP. */
static void read_dense_layers(struct json_fields *fields, uint32_t n_layers, bool *sparse)
{
    const json_t *list = json_fields_array(fields, "mlp_only_layers", SPEC_MAX_LAYERS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *layer = json_array_get(list, i);
        if (!json_is_integer(layer)) {
            json_fields_fail(fields, ERROR_INVALID, "mlp_only_layers", "must be a list of layer numbers");
            return;
        }
        json_int_t number = json_integer_value(layer);
        if (number >= 0 && number < (json_int_t)n_layers)
            sparse[number] = false;
    }
}

static void read_experts(struct json_fields *fields, enum spec_experts_kind kind, struct arena *arena,
                         struct model_spec *spec)
{
    struct spec_experts *experts = &spec->experts;
    bool local = kind == EXPERTS_LOCAL;
    const char *number = local ? "num_local_experts" : "num_experts";
    experts->n_experts = json_fields_count(fields, number, JSON_REQUIRED_COUNT, 0, SPEC_MAX_EXPERTS);
    experts->n_active =
        json_fields_count(fields, "num_experts_per_tok", JSON_REQUIRED_COUNT, 1, SPEC_MAX_ACTIVE);
    experts->ffn =
        local ? spec->ffn
              : json_fields_count(fields, "moe_intermediate_size", JSON_REQUIRED_COUNT, 1, SPEC_MAX_FFN);
    experts->normalize = local || json_fields_bool(fields, "norm_topk_prob", false);
    uint32_t step = local ? 1 : json_fields_count(fields, "decoder_sparse_step", 1, 1, SPEC_MAX_LAYERS);
    if (fields->status)
        return;
    bool *sparse = arena_alloc(arena, spec->n_layers, sizeof *sparse);
    if (!sparse) {
        fields->status = error_memory(fields->error, "expert layers", spec->n_layers);
        return;
    }
    if (experts->n_experts && experts->n_active > experts->n_experts)
        json_fields_fail(fields, ERROR_INVALID, "num_experts_per_tok", "is above the number of experts");
    for (uint32_t i = 0; i < spec->n_layers; i++)
        sparse[i] = experts->n_experts > 0 && (i + 1) % step == 0;
    if (!local)
        read_dense_layers(fields, spec->n_layers, sparse);
    experts->sparse = sparse;
}

int spec_read(const json_t *config, const struct spec_defaults *defaults, struct arena *arena,
              struct model_spec *out, struct error *error)
{
    struct json_fields fields = {.object = config, .where = WHERE, .error = error};
    struct model_spec spec = {0};
    if (json_fields_get(&fields, "model_file"))
        json_fields_fail(&fields, ERROR_UNSUPPORTED, "model_file",
                         "asks for Python code from the model folder, which is never run");
    read_dimensions(&fields, &spec);
    spec.norm_eps = (float)json_fields_number(&fields, "rms_norm_eps", JSON_REQUIRED_NUMBER, 0, 1);
    spec.attention_bias = json_fields_bool(&fields, "attention_bias", false);
    spec.mlp_bias = json_fields_bool(&fields, "mlp_bias", false);
    if (json_fields_get(&fields, "tie_word_embeddings"))
        spec.tied = json_fields_bool(&fields, "tie_word_embeddings", false) ? TIED_YES : TIED_NO;
    uint32_t max_positions =
        json_fields_count(&fields, "max_position_embeddings", defaults->context, 1, SPEC_MAX_CONTEXT);
    read_activation(&fields, &spec);
    if (fields.status == 0)
        read_windows(&fields, arena, &spec);
    if (fields.status == 0 && defaults->experts != EXPERTS_NONE)
        read_experts(&fields, defaults->experts, arena, &spec);
    if (fields.status)
        return fields.status;
    int status = rope_spec_read(config, defaults->rope_theta, defaults->partial > 0 ? defaults->partial : 1,
                                max_positions, arena, &spec.rope, error);
    if (status)
        return status;
    if (!rope_dims(&spec.rope, spec.head_dim))
        return error_set(error, ERROR_INVALID,
                         "%s: of heads of %u dimensions, the share %g and its factors do not turn in pairs",
                         WHERE, spec.head_dim, spec.rope.partial);
    spec.embedding_scale = spec.residual_scale = spec.logits_scale = 1;
    spec.context = rope_context(&spec.rope);
    *out = spec;
    return 0;
}
