/* What the files of the OpenAI surface share: a request's body read into a wish, and the job that turns
 * answers into a response. Private to openai*.c.
 *
 *   openai.c              the route table
 *   openai_request.c      fields that both kinds of completion have
 *   openai_messages.c     the conversation        openai_tools.c   tools, response_format
 *   openai_inputs.c       texts and token ids outside of a conversation
 *   openai_chat.c, openai_completions.c, openai_embeddings.c, openai_models.c           one endpoint each
 *   openai_job.c          runs answers, streams or collects them
 *   openai_write.c        the JSON of chunks and bodies
 *
 * Every field of a body works, or is known to have no effect on the text, or is refused with 400 and its
 * name.
 */
#ifndef LLMIND_HTTP_OPENAI_H
#define LLMIND_HTTP_OPENAI_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "http/exchange.h"
#include "service/answer.h"

enum {
    OPENAI_MAX_N = 16,
    OPENAI_MAX_CHOICES = 128, /* prompts times n */
    OPENAI_MAX_INPUTS = 2048,
    OPENAI_MAX_MESSAGES = 4096,
    OPENAI_MAX_PARTS = 256,
    OPENAI_MAX_TOOLS = 128,
    OPENAI_MAX_LOGIT_BIAS = 1024,
    OPENAI_MAX_SCHEMA_BYTES = 256 << 10,
    OPENAI_WAIT_FOR_MODEL_MS = 60000
};

/* ---- a request ---- */

struct openai_wish {
    bool chat; /* or a plain completion */
    int64_t n; /* choices per prompt */
    bool stream, include_usage, usage_in_chunks;
    struct answer_options options; /* what it points to is below, or in the body */
    const char *stops[ENGINE_MAX_STOPS];
    struct engine_logit_bias *bias;
    char *messages_json, *tools_json, *template_json, *grammar; /* malloc'ed */
    bool echo;                                                  /* completions: the prompt comes first */
};
void openai_wish_free(struct openai_wish *wish);

/* Each returns false when the body is wrong; the exchange has then been answered. */
bool openai_read_common(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish);
bool openai_read_messages(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish);
bool openai_read_tools(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish);
bool openai_read_format(struct http_exchange *exchange, const json_t *body, struct openai_wish *wish);
/* 400 for any field that is neither common to both endpoints nor in the list. */
bool openai_fields_known(struct http_exchange *exchange, const json_t *body, const char *const *names,
                         size_t n_names);
/* 400 naming the field, printf-like; returns false. */
bool openai_refuse(struct http_exchange *exchange, const char *code, const char *param, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
/* The JSON text of a value into *out; false, answered: memory is short. */
bool openai_dump(struct http_exchange *exchange, const json_t *value, char **out);
/* What a failure of the layers below is to the client. status 0: what http_reply_error makes of it.
 * wish: NULL where nothing but the prompt can be to blame. prompt: the name of the field that it came in. */
struct openai_problem {
    int status;
    const char *code, *param;
};
struct openai_problem openai_judge_failure(const struct openai_wish *wish, const char *prompt,
                                           const struct error *error, bool model_refused);

/* Texts outside of a conversation; openai_inputs.c. */
struct openai_input {
    const char *text; /* borrowed from the body; or */
    int32_t *tokens;  /* owned */
    uint32_t n_tokens;
};
struct openai_inputs {
    struct openai_input *items;
    size_t count;
};
/* body's member `name`. inputs must be freed even after a failure. */
bool openai_read_inputs(struct http_exchange *exchange, const json_t *body, const char *name,
                        struct openai_inputs *inputs);
void openai_inputs_free(struct openai_inputs *inputs);

/* ---- a response ---- */

struct openai_choice {
    struct answer *answer;
    uint32_t index;
    bool first_of_prompt; /* its prompt counts in usage; the other n - 1 have the same one */
    bool begun, ended;
    /* Collected for a whole response; a stream uses the last ones only for the piece at hand. */
    struct buffer text, reasoning, calls;
    struct buffer logprobs;                             /* chat: elements of content */
    struct buffer names, values, alternatives, offsets; /* completions: elements of the four lists */
    uint64_t offset;                                    /* characters of the tokens so far */
    char *echo;                                         /* the prompt's text, owned; or NULL */
    uint32_t n_calls;
    struct answer_piece end; /* with ended */
};

struct openai_job {
    struct services *services;
    bool chat, stream, include_usage, usage_in_chunks, logprobs;
    struct buffer head; /* of every chunk, after the object's name: "created" to "system_fingerprint" */
    char id[48];
    struct openai_choice *choices;
    uint32_t n_choices, n_ended;
    struct error failure; /* code 0: none */
    bool told;            /* stream: the last event, [DONE] or an error, was written */
    atomic_bool gone;     /* the client is */
    /* Before the answers are open: */
    struct openai_request *request;
    struct openai_problem problem; /* of a failure to open them */
    struct host_place *place;
    uint64_t heartbeat_ns;
    atomic_bool open; /* they are: choices changes no more */
};

/* The prompts of a wish, where they are not in its submit already (set NULL). */
struct openai_prompts {
    size_t count;
    void (*set)(void *context, size_t index, struct engine_submit *submit);
    /* malloc'ed text of a prompt, for echo; NULL: memory is short */
    char *(*text)(void *context, size_t index, struct engine *engine);
    void (*free)(void *context); /* may be NULL */
    void *context;
};

/* What was read of a request. It may have to wait for a parked host with its stream begun, so it outlives its
 * handler. */
struct openai_request {
    json_t *body;
    struct openai_wish wish; /* points into body, and into itself: not to be copied */
    struct openai_prompts prompts;
};
/* With its body; NULL: answered. */
struct openai_request *openai_request_open(struct http_exchange *exchange);
void openai_request_free(struct openai_request *request); /* NULL is legal */

/* Takes the request over. Opens one answer per prompt and choice, once the host is not parked; answers the
 * exchange when that fails, and runs the job to its end when not. */
void openai_run(struct http_exchange *exchange, struct openai_request *request);

/* openai_write.c. A chunk is a whole server-sent event. */
void openai_write_head(struct openai_job *job, const struct answer *answer);
void openai_write_chunk(struct openai_job *job, struct openai_choice *choice,
                        const struct answer_piece *piece, struct buffer *out);
void openai_write_last(struct openai_job *job, struct buffer *out); /* usage, when asked for, and [DONE] */
void openai_write_failure(const struct error *error, const struct openai_problem *problem,
                          struct buffer *out);
void openai_collect(struct openai_job *job, struct openai_choice *choice, const struct answer_piece *piece);
void openai_write_body(struct openai_job *job, struct buffer *out);

/* ---- endpoints ---- */
void openai_get_models(struct http_exchange *exchange);
void openai_get_model(struct http_exchange *exchange);
void openai_post_chat(struct http_exchange *exchange);
void openai_post_completions(struct http_exchange *exchange);
void openai_post_embeddings(struct http_exchange *exchange);

#endif
