/* The request of a proof, and where a proof is shown. What it says is proof_verdict.c's. */
#include "profile/proof.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "profile/configuration.h"
#include "profile/configuration_catalogue.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

enum { MAX_PROOFS = 256 };

/* ---- what can be tried ---- */

static int check_run(const json_t *row, struct error *error)
{
    const char *why = NULL;
    if (!json_get_is(row, "kind", "profile"))
        why = "only a run that profiles one model has a baseline that something can be tried against";
    else if (json_get_bool(row, "imported", false))
        why = "this run was made on another machine: what is better there cannot be tried here";
    else if (json_get_object(row, "report.target"))
        why = "this run measured a server from outside: its settings cannot be changed from here";
    else if (!json_get_object(row, "report.flags"))
        why = "this run ended before its model was loaded";
    return why ? error_set(error, ERROR_UNSUPPORTED, "%s", why) : 0;
}

static bool isa_is_here(const char *isa)
{
    for (const char *const *known = kernels_available(); *known; known++)
        if (strcmp(*known, isa) == 0)
            return true;
    return false;
}

/* Whether the baseline of the run has this value already. */
static bool is_baseline(const json_t *flags, const char *configuration)
{
    static const struct {
        const char *knob, *flag;
    } numbers[] = {{"threads", "threads"},
                   {"kv_bits", "kv_bits"},
                   {"prefill_chunk", "prefill_chunk"},
                   {"prompt_lookup", "prompt_lookup"}};
    const char *value = strchr(configuration, '=');
    size_t length = value ? (size_t)(value - configuration) : 0;
    if (!value)
        return false;
    value++;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strlen(numbers[i].knob) == length && memcmp(configuration, numbers[i].knob, length) == 0)
            return json_get_number(flags, numbers[i].flag) == strtod(value, NULL);
    return json_get_is(flags, "isa", value) || strcmp(configuration, "concurrency=1") == 0 ||
           (strncmp(configuration, "temperature=", length + 1) == 0 &&
            strtod(value, NULL) == CONFIGURATION_TEMPERATURE_USUAL);
}

static int check_configuration(const json_t *row, const char *configuration, struct error *error)
{
    const json_t *advice = json_get_where(row, "report.analysis.recommendations", "id", configuration);
    if (!configuration_known(configuration) && advice)
        return error_set(error, ERROR_UNSUPPORTED, "'%.60s' cannot be tried from here: it is for you to do",
                         configuration);
    if (!configuration_known(configuration))
        return error_set(
            error, ERROR_INVALID,
            "there is no configuration '%.60s'; those that can be tried are the provable "
            "recommendations of the run, and threads=N, kv_bits=N, prefill_chunk=N, prompt_lookup=N, "
            "isa=NAME, "
            "concurrency=N, temperature=T, prefix_cache, high_temperature, low_temperature, "
            "short_response, long_response",
            configuration);
    if (!configuration_is_one(configuration))
        return error_set(error, ERROR_INVALID, "'%.60s' wants a value, as in threads=2", configuration);
    const char *backend = json_get_string(row, "report.flags.backend");
    if (!configuration_fits(configuration, backend))
        return error_set(error, ERROR_UNSUPPORTED,
                         "the %.24s backend, which the run measured, has no '%.60s'", backend, configuration);
    if (is_baseline(json_get(row, "report.flags"), configuration))
        return error_set(error, ERROR_UNSUPPORTED,
                         "'%.60s' is what the run had already: there is nothing to compare", configuration);
    if (strncmp(configuration, "isa=", 4) == 0 && !isa_is_here(configuration + 4))
        return error_set(error, ERROR_UNSUPPORTED, "this machine or program has no %.24s instructions",
                         configuration + 4);
    return 0;
}

/* ---- the request ---- */

static void copy(json_t *to, const char *name, const json_t *from, const char *path)
{
    json_t *value = (json_t *)(uintptr_t)json_get(from, path);
    if (value && !json_is_null(value))
        json_object_set(to, name, value);
}

/* What the run's model was called; of a folder its full name, because the working directory may be another
 * one by now. */
static void put_model(json_t *to, const json_t *row)
{
    const char *name = json_get_text(row, "request.model_name", "");
    if (name[0] == '.' || name[0] == '~' || !*name)
        copy(to, "model_name", row, "report.model.path");
    else
        copy(to, "model_name", row, "request.model_name");
}

int proof_request(const json_t *row, const char *configuration, uint32_t blocks, json_t **out,
                  struct error *error)
{
    static const char *const knobs[] = {"threads",       "context", "kv_bits", "prefill_chunk",
                                        "prompt_lookup", "isa",     "backend", "precise"};
    *out = NULL;
    int status = check_run(row, error);
    if (!status)
        status = check_configuration(row, configuration, error);
    if (status)
        return status;
    json_t *o = json_pack("{s:s}", "kind", "prove");
    if (blocks)
        json_put_integer(o, "repeats", blocks);
    json_t *proves = json_put_object(o, "proves"), *same = json_put_object(o, "knobs");
    put_model(o, row);
    copy(o, "raw", row, "request.raw");
    const char *prompt = json_get_string(row, "request.test_prompts.0");
    if (prompt)
        json_object_set_new(o, "test_prompts", json_pack("[s]", prompt));
    json_put_string(proves, "run_id", json_get_string(row, "id"), "");
    json_put_string(proves, "recommendation", configuration, "");
    copy(proves, "file_bytes", row, "report.model.file_bytes");
    copy(proves, "adapter", row, "report.flags.adapter");
    for (size_t i = 0; i < sizeof knobs / sizeof *knobs; i++)
        copy(same, knobs[i], json_get(row, "report.flags"), knobs[i]);
    *out = o;
    return o ? 0 : error_memory(error, "a profiling request", 0);
}

/* ---- where it is shown ---- */

const json_t *proof_find(const json_t *report, const char *configuration)
{
    return json_get_where(report, "analysis.proofs", "recommendation", configuration);
}

static void attach_one(json_t *recommendation, const json_t *proofs)
{
    const char *id = json_get_text(recommendation, "id", "");
    const json_t *proof = json_get_where(proofs, "", "recommendation", id);
    bool provable = json_get_bool(recommendation, "provable", false);
    if (!proof) {
        json_put_null(recommendation, "proof", provable ? PROOF_NOT_YET : PROOF_NOT_HERE);
        return;
    }
    json_object_set(recommendation, "proof", (json_t *)(uintptr_t)proof);
    json_object_del(recommendation, "proof_reason");
    json_t *setting = json_get_object(recommendation, "setting") ? NULL : proof_setting(id);
    if (json_is_object(setting) && json_get_is(proof, "verdict", "kept")) {
        json_object_set(recommendation, "setting", setting);
        json_object_del(recommendation, "setting_reason");
    }
    json_decref(setting);
}

void proof_attach(json_t *report, const json_t *proofs)
{
    json_t *analysis = json_object_get(report, "analysis");
    json_t *list = json_object_get(analysis, "recommendations");
    if (!json_is_object(analysis))
        return;
    for (size_t i = 0; i < json_array_size(list) && i < MAX_PROOFS; i++)
        if (json_is_object(json_array_get(list, i)))
            attach_one(json_array_get(list, i), proofs);
    json_object_set(analysis, "proofs", (json_t *)(uintptr_t)proofs);
}

const char *proof_state(const json_t *recommendation)
{
    const json_t *proof = json_get_object(recommendation, "proof");
    return json_get_is(proof, "verdict", "kept")              ? "proved"
           : json_get_is(proof, "verdict", "rejected")        ? "rejected"
           : proof                                            ? "unclear"
           : json_get_bool(recommendation, "provable", false) ? "unproved"
                                                              : "cannot be tried here";
}
