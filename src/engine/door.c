/* Hands every call of engine.h to the engine it is for. */
#include "engine/door.h"

void engine_close(struct engine *engine)
{
    if (engine)
        engine->door->close(engine);
}

const struct engine_info *engine_info(const struct engine *engine)
{
    return engine->door->info(engine);
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
    return engine->door->tokenizer(engine);
}

const struct plan *engine_plan(const struct engine *engine)
{
    return engine->door->plan(engine);
}

struct engine_sampling engine_sampling_default(const struct engine *engine)
{
    return engine->door->sampling_default(engine);
}

int engine_alive(struct engine *engine, struct error *error)
{
    return engine->door->alive(engine, error);
}

int engine_token_text(struct engine *engine, int32_t token, char *out, size_t capacity, size_t *length,
                      struct error *error)
{
    return engine->door->token_text(engine, token, out, capacity, length, error);
}

int engine_submit(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                  struct error *error)
{
    return engine->door->submit(engine, submit, out, error);
}

void engine_cancel(struct engine_request *request)
{
    request->door->cancel(request);
}

void engine_request_release(struct engine_request *request)
{
    if (request)
        request->door->release(request);
}

int engine_next_event(struct engine_request *request, struct engine_event *event, int timeout_ms)
{
    return request->door->next_event(request, event, timeout_ms);
}

void engine_stats(struct engine *engine, struct engine_stats *out)
{
    engine->door->stats(engine, out);
}

int engine_trace(struct engine *engine, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                 struct error *error)
{
    return engine->door->trace(engine, n_tokens, depth, out, error);
}

int engine_save_prompt_cache(struct engine *engine, const struct engine_submit *prompt, const char *path,
                             struct engine_saved_prompt *out, struct error *error)
{
    return engine->door->save_prompt_cache(engine, prompt, path, out, error);
}
