#include "model/generation.h"

#include "model/config.h"
#include "model/json_file.h"

static bool is_token(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= INT32_MAX;
}

/* A token or a list of tokens. */
static void read_eos(struct json_fields *fields, struct model_generation *out)
{
    static const char key[] = "eos_token_id";
    const json_t *value = fields->status ? NULL : json_fields_get(fields, key);
    if (!value)
        return;
    bool list = json_is_array(value);
    size_t n = list ? json_array_size(value) : 1;
    if (n > MODEL_MAX_EOS) {
        json_fields_fail(fields, ERROR_LIMIT, key, "lists more than 16 tokens");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *token = list ? json_array_get(value, i) : value;
        if (!is_token(token)) {
            json_fields_fail(fields, ERROR_INVALID, key, "must be a token number or a list of them");
            return;
        }
        out->eos[out->n_eos++] = (int32_t)json_integer_value(token);
    }
}

/* Those that are not known yet. */
static void read_tokens(struct json_fields *fields, struct model_generation *out)
{
    if (out->n_eos == 0)
        read_eos(fields, out);
    if (out->bos < 0)
        out->bos = json_fields_get(fields, "bos_token_id")
                       ? (int32_t)json_fields_count(fields, "bos_token_id", 0, 0, INT32_MAX)
                       : -1;
}

int generation_read(const json_t *config, const json_t *generation, struct model_generation *out,
                    struct error *error)
{
    *out = (struct model_generation){.bos = -1, .temperature = 1, .top_p = 1, .repetition_penalty = 1};
    struct json_fields fields = {.object = generation, .where = "generation_config.json", .error = error};
    out->do_sample = json_fields_bool(&fields, "do_sample", false);
    out->temperature = (float)json_fields_number(&fields, "temperature", 1, 0, 100);
    out->top_p = (float)json_fields_number(&fields, "top_p", 1, 0, 1);
    out->min_p = (float)json_fields_number(&fields, "min_p", 0, 0, 1);
    out->top_k = json_fields_count(&fields, "top_k", 0, 0, 1u << 24);
    out->repetition_penalty = (float)json_fields_number(
        &fields, "repetition_penalty", 1, MODEL_MIN_REPETITION_PENALTY, MODEL_MAX_REPETITION_PENALTY);
    read_tokens(&fields, out);
    if (fields.status)
        return fields.status;
    struct json_fields whole = {.object = config, .where = "config.json", .error = error};
    struct json_fields text = {
        .object = model_config_text(config), .where = "config.json: text_config", .error = error};
    read_tokens(&whole, out);
    if (whole.status == 0 && text.object != config)
        read_tokens(&text, out);
    return whole.status ? whole.status : text.status;
}
