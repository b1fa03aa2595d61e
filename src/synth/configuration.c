/* Fields and values follow the published config.json of each family, including those no reader of ours needs:
 * other programs open these models too. */
#include "synth/configuration.h"

#include <jansson.h>
#include <string.h>

#include "output/json.h"
#include "synth/vocabulary.h"

static json_t *eos_ids(const struct synth_shape *shape)
{
    uint32_t bos = shape->first_special;
    switch (shape->family) {
    case SYNTH_LLAMA: /* end_of_text, eom, eot */
        return json_pack("[i,i,i]", bos + 1, bos + 8, bos + 9);
    case SYNTH_MISTRAL:
        return json_pack("[i]", bos + 1);
    default: /* im_end, endoftext */
        return json_pack("[i,i]", bos + 2, bos);
    }
}

/* ---- config.json ---- */

static const char *architecture(enum synth_family family)
{
    static const char *const names[] = {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                        "Qwen3ForCausalLM", "Qwen3MoeForCausalLM"};
    return names[family];
}

static void set_rope(json_t *config, const struct synth_shape *shape)
{
    json_object_set_new(config, "rope_theta", json_real((double)shape->rope_theta));
    if (shape->rope_factor)
        json_object_set_new(config, "rope_scaling",
                            json_pack("{s:f,s:f,s:f,s:i,s:s}", "factor", (double)shape->rope_factor,
                                      "high_freq_factor", 4.0, "low_freq_factor", 1.0,
                                      "original_max_position_embeddings", 8192, "rope_type", "llama3"));
    else
        json_object_set_new(config, "rope_scaling", json_null());
}

static void set_family(json_t *config, const struct synth_shape *shape)
{
    bool qwen = !synth_family_has_bos(shape->family);
    if (shape->family == SYNTH_LLAMA)
        json_object_update_new(config, json_pack("{s:b,s:i}", "mlp_bias", 0, "pretraining_tp", 1));
    if (shape->family != SYNTH_MISTRAL && shape->family != SYNTH_QWEN2)
        json_object_set_new(config, "attention_bias", json_false());
    if (shape->sliding_window)
        json_object_set_new(config, "sliding_window", json_integer(shape->sliding_window));
    else if (qwen)
        json_object_update_new(config, json_pack("{s:b,s:n,s:i}", "use_sliding_window", 0, "sliding_window",
                                                 "max_window_layers", (int)shape->layers));
    if (shape->experts) {
        json_object_update_new(
            config, json_pack("{s:i,s:i,s:i,s:b,s:i,s:[],s:f,s:b}", "num_experts", (int)shape->experts,
                              "num_experts_per_tok", (int)shape->active_experts, "moe_intermediate_size",
                              (int)shape->expert_intermediate, "norm_topk_prob", 1, "decoder_sparse_step", 1,
                              "mlp_only_layers", "router_aux_loss_coef", 0.001, "output_router_logits", 0));
    }
}

static void set_quantization(json_t *config, const struct synth_shape *shape,
                             const struct synth_format *format)
{
    if (format->mode == SYNTH_DENSE)
        return;
    json_t *quantization = json_pack("{s:i,s:i,s:s}", "group_size", (int)format->group_size, "bits",
                                     (int)format->bits, "mode", synth_mode_name(format->mode));
    for (uint32_t layer = 0; layer < shape->layers && shape->experts; layer++) {
        char path[64];
        snprintf(path, sizeof path, "model.layers.%u.mlp.gate", layer);
        json_object_set_new(quantization, path, json_pack("{s:i,s:i}", "group_size", 64, "bits", 8));
    }
    json_object_set(config, "quantization", quantization);
    json_object_set_new(config, "quantization_config", quantization);
}

int configuration_write_model(const struct output_folder *folder, const struct synth_shape *shape,
                              const struct synth_format *format, struct error *error)
{
    bool qwen = !synth_family_has_bos(shape->family);
    json_t *config =
        json_pack("{s:[s],s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "architectures", architecture(shape->family),
                  "model_type", synth_family_type(shape->family), "hidden_size", (int)shape->hidden,
                  "num_hidden_layers", (int)shape->layers, "intermediate_size", (int)shape->intermediate,
                  "num_attention_heads", (int)shape->heads, "num_key_value_heads", (int)shape->kv_heads,
                  "head_dim", (int)shape->head_dim, "vocab_size", (int)shape->vocab,
                  "max_position_embeddings", (int)shape->max_context);
    if (!config)
        return error_memory(error, "config.json", 0);
    json_object_update_new(config, json_pack("{s:s,s:f,s:f,s:f,s:b,s:b,s:s}", "hidden_act", "silu",
                                             "initializer_range", 0.02, "rms_norm_eps", qwen ? 1e-6 : 1e-5,
                                             "attention_dropout", 0.0, "tie_word_embeddings",
                                             shape->tied ? 1 : 0, "use_cache", 1, "torch_dtype", "bfloat16"));
    json_object_set_new(config, "bos_token_id", json_integer(shape->first_special));
    json_object_set_new(config, "eos_token_id", eos_ids(shape));
    set_rope(config, shape);
    set_family(config, shape);
    set_quantization(config, shape, format);
    return output_json(folder, "config.json", config, true, error);
}

/* ---- generation_config.json, tokenizer_config.json ---- */

/* Short forms of the published templates: the same turns and control tokens. */
static const char llama_template[] =
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + "
    "'<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    "{%- endif %}";
static const char mistral_template[] =
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}{{- ' ' + message['content'] + eos_token }}"
    "{%- else %}{{- '[INST] ' + message['content'] + ' [/INST]' }}{%- endif %}"
    "{%- endfor %}";
static const char qwen_template[] =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

static int write_tokenizer_config(const struct output_folder *folder, const struct synth_shape *shape,
                                  struct error *error)
{
    bool bos = synth_family_has_bos(shape->family);
    char first[VOCABULARY_TOKEN_MAX], eos[VOCABULARY_TOKEN_MAX];
    const char *chat = qwen_template;
    uint32_t eos_at = 2;
    if (shape->family == SYNTH_LLAMA) {
        chat = llama_template;
        eos_at = 9;
    } else if (shape->family == SYNTH_MISTRAL) {
        chat = mistral_template;
        eos_at = 1;
    }
    vocabulary_special(shape, shape->first_special, first);
    vocabulary_special(shape, shape->first_special + eos_at, eos);
    json_t *config = json_pack("{s:s,s:b,s:i,s:s,s:s?,s:s,s:s?}", "tokenizer_class",
                               "PreTrainedTokenizerFast", "clean_up_tokenization_spaces", 0,
                               "model_max_length", (int)shape->max_context, "eos_token", eos, "bos_token",
                               bos ? first : NULL, "chat_template", chat, "pad_token", bos ? NULL : first);
    return output_json(folder, "tokenizer_config.json", config, true, error);
}

int configuration_write_text(const struct output_folder *folder, const struct synth_shape *shape,
                             struct error *error)
{
    bool qwen = !synth_family_has_bos(shape->family);
    json_t *generation =
        json_pack("{s:i,s:o,s:b,s:f,s:f}", "bos_token_id", (int)shape->first_special, "eos_token_id",
                  eos_ids(shape), "do_sample", 1, "temperature", 0.6, "top_p", qwen ? 0.95 : 0.9);
    if (generation && qwen)
        json_object_set_new(generation, "top_k", json_integer(20));
    int result = output_json(folder, "generation_config.json", generation, true, error);
    return result ? result : write_tokenizer_config(folder, shape, error);
}
