#include "model/quantization.h"

#include <string.h>

#include "model/json_file.h"

static const struct mode {
    const char *name;
    enum weight_format format;
    uint32_t bits, group_size; /* when they are not given */
} modes[] = {{"affine", WEIGHT_AFFINE, 4, 64},
             {"mxfp4", WEIGHT_MXFP4, 4, 32},
             {"mxfp8", WEIGHT_MXFP8, 8, 32},
             {"nvfp4", WEIGHT_NVFP4, 4, 16}};

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(name, modes[i].name) == 0)
            return &modes[i];
    return NULL;
}

bool quantization_mode(const char *name, enum weight_format *format, uint32_t *bits, uint32_t *group_size)
{
    const struct mode *mode = find_mode(name);
    if (!mode)
        return false;
    *format = mode->format;
    *bits = mode->bits;
    *group_size = mode->group_size;
    return true;
}

const char *quantization_mode_name(enum weight_format format)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (modes[i].format == format)
            return modes[i].name;
    return "";
}

bool quantization_exists(enum weight_format format, uint32_t bits, uint32_t group_size)
{
    if (format == WEIGHT_AFFINE)
        return (bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8) &&
               (group_size == 32 || group_size == 64 || group_size == 128);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (modes[i].format == format)
            return bits == modes[i].bits && group_size == modes[i].group_size;
    return false;
}

/* The three fields that the object and the entries of single modules share. */
static int read_parameters(const json_t *object, const char *where, struct quantization *out,
                           struct error *error)
{
    struct json_fields fields = {.object = object, .where = where, .error = error};
    const char *name = json_fields_string(&fields, "mode", "affine");
    const struct mode *mode = find_mode(name);
    if (!mode) {
        json_fields_fail(&fields, ERROR_UNSUPPORTED, "mode", "must be affine, mxfp4, mxfp8 or nvfp4");
        return fields.status;
    }
    out->format = mode->format;
    out->bits = json_fields_count(&fields, "bits", mode->bits, 1, 64);
    out->group_size = json_fields_count(&fields, "group_size", mode->group_size, 1, 1u << 20);
    if (fields.status)
        return fields.status;
    if (!quantization_exists(out->format, out->bits, out->group_size))
        return error_set(error, ERROR_UNSUPPORTED,
                         "%s: %s quantization with %u bits in groups of %u is not supported", where, name,
                         out->bits, out->group_size);
    return 0;
}

static int check_modules(const struct quantization *quantization, struct error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)quantization->object, name, value) {
        char where[300];
        struct quantization ignored;
        if (!json_is_object(value))
            continue;
        snprintf(where, sizeof where, "config.json: quantization: %.200s", name);
        int status = read_parameters(value, where, &ignored, error);
        if (status)
            return status;
    }
    return 0;
}

/* Finds the object to read, or refuses another program's format. */
static int choose_object(const json_t *config, const json_t **object, struct error *error)
{
    struct json_fields top = {.object = config, .where = "config.json", .error = error};
    *object = json_fields_object(&top, "quantization");
    if (top.status || *object)
        return top.status;
    *object = json_fields_object(&top, "quantization_config");
    struct json_fields fields = {
        .object = *object, .where = "config.json: quantization_config", .error = error};
    const char *method = json_fields_string(&fields, "quant_method", "mlx");
    if (top.status || fields.status)
        return top.status ? top.status : fields.status;
    if (*object && strcmp(method, "mlx") != 0)
        return error_set(error, ERROR_UNSUPPORTED,
                         "config.json: quantization_config: weights quantized by %.40s are not supported; "
                         "convert the model with mlx_lm.convert",
                         method);
    return 0;
}

int quantization_read(const json_t *config, struct quantization *out, struct error *error)
{
    *out = (struct quantization){0};
    int status = choose_object(config, &out->object, error);
    if (status || !out->object)
        return status;
    out->present = true;
    status = read_parameters(out->object, "config.json: quantization", out, error);
    if (status == 0)
        status = check_modules(out, error);
    return status;
}

enum quantization_choice quantization_of(const struct quantization *quantization, const char *module,
                                         enum weight_format *format, uint32_t *bits, uint32_t *group_size)
{
    const json_t *entry = quantization->present ? json_object_get(quantization->object, module) : NULL;
    struct quantization given = *quantization;
    if (json_is_false(entry))
        return QUANTIZATION_DENSE;
    if (!json_is_true(entry) && !json_is_object(entry))
        return QUANTIZATION_BY_SHAPE;
    if (json_is_object(entry))
        read_parameters(entry, module, &given, NULL); /* quantization_read has seen it succeed */
    *format = given.format;
    *bits = given.bits;
    *group_size = given.group_size;
    return QUANTIZATION_GIVEN;
}
