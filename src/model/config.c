#include "model/config.h"

#include "model/json_file.h"

const char *const model_config_other_parts[] = {"vision_tower.", "multi_modal_projector.", NULL};

static int find_family(const json_t *config, struct model_config *out, struct error *error)
{
    struct json_fields fields = {.object = config, .where = "config.json", .error = error};
    const char *type = json_fields_string(&fields, "model_type", NULL);
    if (fields.status == 0 && !type)
        json_fields_fail(&fields, ERROR_INVALID, "model_type", "is missing");
    if (fields.status)
        return fields.status;
    out->wrapper = wrapper_find(type);
    if (out->wrapper) {
        struct json_fields text = {.object = json_fields_object(&fields, "text_config"),
                                   .where = "config.json: text_config",
                                   .error = error};
        if (!text.object)
            json_fields_fail(&fields, ERROR_INVALID, "text_config", "is missing");
        type = json_fields_string(&text, "model_type", out->wrapper->text_type);
        if (fields.status || text.status)
            return fields.status ? fields.status : text.status;
    }
    out->family = family_find(type);
    if (!out->family)
        return error_set(error, ERROR_UNSUPPORTED,
                         "the architecture %.80s is not supported; supported are: %s", type, family_list());
    return 0;
}

const json_t *model_config_text(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const json_t *text = json_object_get(config, "text_config");
    return type && wrapper_find(type) && json_is_object(text) ? text : config;
}

/* The language model's fields, its vocab_size where only the whole has it (as in Gemma 3), and what all
 * published configurations of the family are silent about. A new reference; NULL: memory. */
static json_t *gather_fields(const json_t *config, const struct model_family *family)
{
    const json_t *text = model_config_text(config);
    json_t *silent = family->silent ? json_loads(family->silent, 0, NULL) : json_object();
    /* jansson's copies do not touch the original */
    json_t *all = json_copy((json_t *)(uintptr_t)text), *vocab = json_object_get(config, "vocab_size");
    bool failed = !all || !silent;
    if (!failed && vocab && !json_object_get(all, "vocab_size"))
        failed = json_object_set(all, "vocab_size", vocab);
    if (!failed)
        failed = json_object_update_missing(all, silent);
    if (failed) {
        json_decref(all);
        all = NULL;
    }
    json_decref(silent);
    return all;
}

int model_config_read(const json_t *config, struct arena *arena, struct model_config *out,
                      struct error *error)
{
    *out = (struct model_config){0};
    int status = find_family(config, out, error);
    if (status)
        return status;
    json_t *all = gather_fields(config, out->family);
    if (!all)
        return error_memory(error, "config.json", 0);
    status = spec_read(all, &out->family->defaults, arena, &out->spec, error);
    struct json_fields fields = {.object = all, .where = "config.json", .error = error};
    if (status == 0 && out->family->read)
        out->family->read(&fields, arena, &out->spec);
    json_decref(all);
    return status ? status : fields.status;
}
