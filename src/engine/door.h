/* How engine.h is one door with several rooms behind it: an engine of this process (local_door in local.c),
 * or one in a worker process (worker/client.c). Whoever implements a door embeds `struct engine` and `struct
 * engine_request` as the first members of its own structs; door.c hands every call of engine.h on. A member
 * means what the function of its name in engine.h means; close and release get no NULL.
 */
#ifndef LLMIND_ENGINE_DOOR_H
#define LLMIND_ENGINE_DOOR_H

#include "engine/engine.h"

struct engine_door {
    void (*close)(struct engine *engine);
    const struct engine_info *(*info)(const struct engine *engine);
    const struct tokenizer *(*tokenizer)(const struct engine *engine);
    const struct plan *(*plan)(const struct engine *engine);
    struct engine_sampling (*sampling_default)(const struct engine *engine);
    int (*alive)(struct engine *engine, struct error *error);
    int (*token_text)(struct engine *engine, int32_t token, char *out, size_t capacity, size_t *length,
                      struct error *error);
    int (*submit)(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                  struct error *error);
    void (*cancel)(struct engine_request *request);
    void (*release)(struct engine_request *request);
    int (*next_event)(struct engine_request *request, struct engine_event *event, int timeout_ms);
    void (*stats)(struct engine *engine, struct engine_stats *out);
    int (*trace)(struct engine *engine, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                 struct error *error);
    int (*save_prompt_cache)(struct engine *engine, const struct engine_submit *prompt, const char *path,
                             struct engine_saved_prompt *out, struct error *error);
};

struct engine {
    const struct engine_door *door;
};
struct engine_request {
    const struct engine_door *door;
};

#endif
