/* The mixed recipes are those of mlx_lm.convert (mlx-lm 0.32), which follow llama.cpp's Q4_K_M: more bits for
 * lm_head, and for v_proj and down_proj in the first and the last eighth of the layers and in every third in
 * between. */
#include "convert/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "model/quantization.h"

static const struct mixed {
    const char *name;
    uint32_t low, high;
} mixed[] = {{"mixed_2_6", 2, 6}, {"mixed_3_4", 3, 4}, {"mixed_3_6", 3, 6}, {"mixed_4_6", 4, 6}};

enum { CAREFUL_BITS = 8, CAREFUL_GROUP = 64 };

/* quant_predicate of the classes in mlx_lm/models. */
static const struct {
    const char *type;
    const char *const ends[4];
} careful[] = {
    {"qwen3_moe", {".mlp.gate", NULL}},
    {"gpt_oss", {".mlp.router", NULL}},
    {"granite", {".self_attn.o_proj", ".mlp.down_proj", "lm_head", NULL}},
};

static int read_mixed(const struct convert_options *options, struct recipe *out, struct error *error)
{
    const struct mixed *found = NULL;
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++)
        if (strcmp(options->recipe, mixed[i].name) == 0)
            found = &mixed[i];
    if (!found)
        return error_set(error, ERROR_INVALID,
                         "no recipe is called \"%s\"; there are: mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6",
                         options->recipe);
    if (out->base.format != WEIGHT_AFFINE || options->bits)
        return error_set(error, ERROR_INVALID, "a recipe says itself how many bits there are, and is affine");
    out->base.bits = found->low;
    out->high_bits = found->high;
    return 0;
}

static int read_base(const struct convert_options *options, struct code_format *out, struct error *error)
{
    const char *name = options->mode ? options->mode : "affine";
    uint32_t bits, group_size;
    if (!quantization_mode(name, &out->format, &bits, &group_size) || out->format == WEIGHT_NVFP4)
        return error_set(error, ERROR_INVALID, "no mode is called \"%s\"; there are: affine, mxfp4, mxfp8",
                         name);
    if (options->bits == 16) {
        if (options->group_size || options->mode)
            return error_set(error, ERROR_INVALID, "16 bits are not quantized: no mode, no group size");
        *out = (struct code_format){.format = WEIGHT_DENSE};
        return 0;
    }
    out->bits = options->bits ? options->bits : bits;
    out->group_size = options->group_size ? options->group_size : group_size;
    if (quantization_exists(out->format, out->bits, out->group_size))
        return 0;
    if (out->format == WEIGHT_AFFINE)
        return error_set(
            error, ERROR_INVALID,
            "affine has 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128, not %u in groups of %u",
            out->bits, out->group_size);
    return error_set(error, ERROR_INVALID, "%s has %u bits and groups of %u, nothing else", name, bits,
                     group_size);
}

int recipe_read(const struct convert_options *options, const struct model_config *model, struct recipe *out,
                struct error *error)
{
    *out = (struct recipe){0};
    int status = read_base(options, &out->base, error);
    if (!status && options->recipe)
        status = read_mixed(options, out, error);
    out->embedding_bits = options->embedding_bits;
    if (!status && out->embedding_bits &&
        (out->base.format != WEIGHT_AFFINE ||
         !quantization_exists(WEIGHT_AFFINE, out->embedding_bits, out->base.group_size)))
        return error_set(error, ERROR_INVALID,
                         "the embedding has 2, 3, 4, 5, 6 or 8 bits of its own where the others are affine");
    out->n_layers = model->spec.n_layers;
    for (size_t i = 0; !options->recipe && i < sizeof careful / sizeof *careful; i++)
        if (strcmp(model->family->model_type, careful[i].type) == 0)
            out->careful = careful[i].ends;
    return status;
}

/* The number in "model.layers.NUMBER.…"; 0 where there is none. */
static uint32_t layer_of(const char *module)
{
    const char *at = strstr(module, ".layers.");
    return at ? (uint32_t)strtoul(at + strlen(".layers."), NULL, 10) : 0;
}

static bool is_sensitive(const struct recipe *recipe, const char *module)
{
    uint32_t layer = layer_of(module), eighth = recipe->n_layers / 8;
    if (strstr(module, "lm_head"))
        return true;
    if (!strstr(module, "v_proj") && !strstr(module, "down_proj"))
        return false;
    return layer < eighth || layer >= 7 * recipe->n_layers / 8 || (layer - eighth) % 3 == 2;
}

static bool is_careful(const struct recipe *recipe, const char *module)
{
    size_t length = strlen(module);
    for (const char *const *end = recipe->careful; end && *end; end++)
        if (length >= strlen(*end) && strcmp(module + length - strlen(*end), *end) == 0)
            return true;
    return false;
}

struct code_format recipe_of(const struct recipe *recipe, const char *module, uint64_t cols)
{
    static const struct code_format dense = {.format = WEIGHT_DENSE};
    struct code_format format = recipe->base;
    if (format.format == WEIGHT_DENSE || cols % format.group_size)
        return dense;
    if (recipe->embedding_bits && strstr(module, "embed_tokens"))
        format.bits = recipe->embedding_bits;
    if (recipe->high_bits && is_sensitive(recipe, module))
        format.bits = recipe->high_bits;
    if (is_careful(recipe, module))
        format = (struct code_format){WEIGHT_AFFINE, CAREFUL_BITS, CAREFUL_GROUP};
    return cols % format.group_size ? dense : format;
}

json_t *recipe_json(const struct code_format *format)
{
    return json_pack("{s:i, s:i, s:s}", "group_size", (int)format->group_size, "bits", (int)format->bits,
                     "mode", quantization_mode_name(format->format));
}
