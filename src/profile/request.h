/* What a profiling run is asked to do, from whichever entrance: one struct, one JSON form, one check.
 *
 * The JSON form is what POST /api/profiling/run and /runs take (unknown members are errors that name them),
 * what is stored with the run so that it can be run again, and what `llmind profile` makes of its options:
 *
 *   {"kind": "profile" | "compare" | "prove", "model_name": "builtin" | null, "models": ["a", "b"],
 *    "quick_mode": true, "repeats": 3, "test_prompts": ["..."], "max_tokens": 128,
 *    "configurations": ["baseline", "threads", ...] | null (all) | [] (none),
 *    "target": {"url": "http://127.0.0.1:8080/v1", "model": "x", "key_env": "LLMIND_TARGET_API_KEY",
 *               "allow_local": false} | "http://..." | null,
 *    "knobs": {"threads": 2, "kv_bits": 8, "prefill_chunk": 256, "isa": "avx2", "backend": "cpu",
 *              "precise": false, "context": 4096},
 *    "unload_current": false, "trace": true, "raw": false,
 *    "proves": {"run_id": "...", "recommendation": "threads=2", "file_bytes": 14600000 | null,
 *               "adapter": "tuned" | null} | null}
 *
 * One of several models may be an object, {"model": "a", "backend": "mlx"}: on that backend, whatever the
 * others run on. Every member may be missing or null; trace is then true, every other switch false. `proves`
 * belongs to the kind "prove", and to that alone (prove.h): what is tried, for which run, how large that
 * run's model was, and which adapter it had; repeats are then the blocks, at least 5. The API key itself is
 * never in it: key_env names a variable of this process whose name begins with LLMIND_TARGET_, so that no
 * request can have another secret sent somewhere. allow_local (loopback and private addresses) is for the
 * command line: HTTP refuses it unless the server was told otherwise.
 */
#ifndef LLMIND_PROFILE_REQUEST_H
#define LLMIND_PROFILE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/engine.h"
#include "profile/scenario.h"

enum profile_kind { PROFILE_MODEL, PROFILE_COMPARE, PROFILE_PROVE };

enum {
    REQUEST_MAX_MODELS = 32,
    REQUEST_MAX_NAME_BYTES = 1024, /* of a model (which may be a folder's path), a target, and what else has a
                                    * name; reports (report_check) have the same limit */
    REQUEST_MAX_CONFIGURATIONS = 32,
    REQUEST_MAX_PROMPT_BYTES = 100000,
    REQUEST_MAX_TOKENS = 4096,
    REQUEST_MAX_REPEATS = 100,
    REQUEST_MIN_BLOCKS = 5 /* of a proof */
};

struct profile_model {
    const char *name; /* as the user calls it: catalogue name, or folder */
    const char *path; /* its folder; NULL: not resolved yet, or no such model (then `problem` says so) */
    const char *problem;
    /* Folder of the LoRA adapter that it is run with; NULL: none. Whoever resolves names knows it; the JSON
     * form never has it, so that no request names a folder, and no path is stored. */
    const char *adapter;
    const char *served_backend; /* that it is served by, which a knob overrules; NULL: the usual one */
    const char *backend;        /* asked for with this model alone, which overrules both; NULL: not asked */
    const char *label;          /* name and that backend; NULL: the name does */
};

/* Strings belong to the arena they were read into. */
struct profile_request {
    enum profile_kind kind;
    struct profile_model models[REQUEST_MAX_MODELS]; /* PROFILE_MODEL, PROFILE_PROVE: one */
    size_t n_models;
    bool quick, unload_current, raw; /* raw: prompts without the chat template */
    bool trace;                      /* one traced step, for the roofline of single operations */
    uint32_t repeats;                /* 0: 3, quick 2 */
    const char *prompts[SCENARIO_MAX_PROMPTS];
    size_t n_prompts;
    uint32_t max_tokens; /* of a prompt's answer; 0: 128 */
    bool all_configurations;
    const char *configurations[REQUEST_MAX_CONFIGURATIONS]; /* names of configuration.h */
    size_t n_configurations;
    /* 0, NULL and -1: the program's defaults */
    struct {
        uint32_t threads, context, kv_bits, prefill_chunk, prompt_lookup;
        const char *isa, *backend;
        int precise;
    } knobs;
    const char *target_url, *target_model; /* NULL: a model of this machine */
    const char *target_key_env; /* name of the environment variable that holds the target's API key */
    bool target_allow_local;
    /* PROFILE_PROVE: what is tried is configurations[0], and nothing else is in there */
    const char *proves_run;
    uint64_t proves_file_bytes; /* of the model that run measured; 0: not known */
    const char *proves_adapter; /* that run's flags.adapter; NULL: it had none */
};

/* Errors: ERROR_INVALID (the message begins with the member's name), ERROR_MEMORY. Names are not resolved. */
int profile_request_read(const json_t *json, struct arena *arena, struct profile_request *out,
                         struct error *error);
/* "profile", "compare", "prove". */
const char *profile_kind_name(enum profile_kind kind);
/* What it is called beside others: "builtin", "builtin (mlx)". Borrowed. */
const char *profile_model_label(const struct profile_model *model);
/* The JSON form; a new reference, NULL when memory is short. Reading it gives the same request. */
json_t *profile_request_json(const struct profile_request *request);
/* Engine options of the baseline for models[i], with room for one sequence; strings are borrowed from the
 * request. */
struct engine_options profile_request_engine(const struct profile_request *request, size_t i);

#endif
