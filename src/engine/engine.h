/* The engine: THE boundary between whatever wants text and whatever computes it.
 *
 * An engine owns one model: plan, weights, backend, KV pages, tokenizer. One thread of its own runs the step
 * loop (admit, build one ragged batch, execute, sample, emit); every function below may be called from any
 * thread. Results travel up through one bounded event ring per request; a reader that is slow pauses its own
 * sequence and nobody else's.
 *
 * The same door leads to an engine of this process (engine_open) and to one that lives in a worker process
 * (worker/client.h): see door.h.
 *
 * On one backend and ISA results are batch-invariant: the same request gives the same tokens alone or beside
 * others.
 */
#ifndef LLMIND_ENGINE_ENGINE_H
#define LLMIND_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct engine;
struct engine_request;

struct engine_options {
    const char *model;         /* folder */
    const char *adapter;       /* folder of a LoRA adapter in mlx-lm's form; NULL: none */
    const char *prompt_cache;  /* file of engine_save_prompt_cache: computed already; NULL: none */
    const char *backend, *isa; /* NULL: best here */
    uint32_t n_threads;        /* 0: all cores this process may use */
    uint32_t context; /* tokens one sequence may have; 0: the model's own, at most ENGINE_DEFAULT_CONTEXT */
    uint32_t max_sequences; /* decoding at once; 0: 8 */
    uint32_t prefill_chunk; /* tokens of prompt in one step, beside answers a quarter; 0: 512 */
    uint32_t kv_bits;       /* 8, 16 or 32; 0: 16, and 32 when precise */
    bool precise;           /* everything in f32 */
    uint32_t queue_limit;   /* requests that may wait; a further one gets ERROR_BUSY at once. 0: no limit */
    uint32_t prompt_lookup; /* tokens guessed from the text at once (lookup.h), at most
                               ENGINE_MAX_PROMPT_LOOKUP; 0: none. The answer is the same, token for token:
                               only how many steps it takes changes */
    bool no_prefix_sharing; /* every prompt is computed whole, even where its beginning is still in the pages
                             */
    /* Memory that somebody will give back before this engine is used (the model that it replaces): counted as
     * available. */
    uint64_t reclaimable_bytes;
};

enum {
    ENGINE_DEFAULT_CONTEXT = 8192,
    ENGINE_MAX_PROMPT_LOOKUP = 15,
    ENGINE_MAX_STOPS = 8,
    ENGINE_MAX_STOP_BYTES = 256,
    ENGINE_MAX_LOGPROBS = 20
};

/* Memory is checked against what the machine has before the KV cache is allocated. KV pages are enough for
 * max_sequences whole contexts, unless that is too much for this machine (see budget.h); then fewer long
 * requests run at once and the others wait. Errors: those of model_open and backend_prepare, and ERROR_LIMIT
 * when it does not fit, or context is more than the model's (with figures). Of a prompt cache:
 * ERROR_NOT_FOUND, ERROR_INVALID (no prompt cache, damaged, or of another model or other options:
 * which), ERROR_LIMIT (longer than the context), ERROR_UNSUPPORTED (a newer format, a backend whose pages
 * cannot be kept, or prompts do not share pages). */
int engine_open(const struct engine_options *options, struct engine **out, struct error *error);
/* Everything that engine_open checks before it allocates or parses anything large (an adapter and a prompt
 * cache are not): the files' headers, the plan, the options, the memory. The same errors. */
int engine_check(const struct engine_options *options, struct error *error);

/* What an engine with these options would be, for a plan alone: `model` is not looked at, nothing is opened
 * and nothing is held against this machine's memory. model_context: the model's own, 0 unknown. Errors:
 * options that engine_open would refuse for what they are, ERROR_UNSUPPORTED (the backend cannot run the
 * plan). */
struct plan;
struct engine_sizes {
    uint32_t context, max_sequences, prefill_chunk, kv_bits; /* what the options come to */
    uint32_t page_tokens, max_sequences_limit;
    uint64_t page_bytes;
    uint64_t scratch_bytes;
    uint64_t seldom_bytes; /* of it: rows of logits that only scoring and many sequences touch */
    uint32_t n_phases;     /* backend_phases */
};
int engine_sizes(const struct plan *plan, uint32_t model_context, const struct engine_options *options,
                 struct engine_sizes *out, struct error *error);
void engine_close(struct engine *engine); /* cancels what runs, joins the thread; NULL is legal */

/* ---- what it is ---- */

struct engine_info {
    const char *model_name, *model_path, *architecture, *quantization;
    const char *adapter; /* last part of its folder's path; NULL: none */
    const char *backend, *isa;
    uint32_t n_threads, context, vocab, max_sequences, prefill_chunk, kv_bits, prompt_lookup;
    uint32_t hidden; /* length of an embedding; 0: this model gives none */
    bool precise, has_chat_template;
    uint64_t parameters, weight_bytes, file_bytes;
    double load_ms; /* engine_open, whole */
};
const struct engine_info *engine_info(const struct engine *engine);

struct tokenizer;
/* NULL when the engine lives in another process. */
const struct tokenizer *engine_tokenizer(const struct engine *engine);
const struct plan *engine_plan(const struct engine *engine);

/* 0, or what happened to the process the engine lived in: every later call fails with the same error. */
int engine_alive(struct engine *engine, struct error *error);

/* The bytes of one token inside a text, special tokens included, into out[0..*length). ERROR_LIMIT when they
 * do not fit. An id out of range has none. */
int engine_token_text(struct engine *engine, int32_t token, char *out, size_t capacity, size_t *length,
                      struct error *error);

/* ---- sampling ---- */

struct engine_logit_bias {
    int32_t token;
    float bias;
};

/* Zero is not a default: start from engine_sampling_default (the model's generation_config.json). */
struct engine_sampling {
    float temperature;                          /* 0: greedy */
    uint32_t top_k;                             /* 0: off */
    float top_p, min_p;                         /* 1 and 0: off */
    float repetition_penalty;                   /* 1: off; over prompt and answer, as transformers */
    float presence_penalty, frequency_penalty;  /* over the answer, as OpenAI; 0: off */
    uint64_t seed;                              /* the same seed gives the same text */
    const struct engine_logit_bias *logit_bias; /* copied by submit */
    uint32_t n_logit_bias;
};
struct engine_sampling engine_sampling_default(const struct engine *engine);

/* ---- requests ---- */

/* Called on the engine's thread for every prompt position, in order: what the model predicts after it. Must
 * be quick. */
typedef void (*engine_logits_function)(void *context, uint32_t position, const float *logits, uint32_t vocab);

/* What the answer must look like. Constrained tokens are sampled from what the grammar allows; the answer can
 * only end where the grammar may. Compiled by submit: ERROR_INVALID says what is wrong with it. */
enum engine_grammar_kind {
    ENGINE_GRAMMAR_NONE,
    ENGINE_GRAMMAR_JSON,   /* any JSON object; text is not used */
    ENGINE_GRAMMAR_SCHEMA, /* text: a JSON schema */
    ENGINE_GRAMMAR_REGEX,  /* text: a regular expression */
    ENGINE_GRAMMAR_LARK    /* text: llguidance's Lark dialect */
};

struct engine_submit {
    /* exactly one of the three prompts; copied by submit */
    const int32_t *tokens;
    uint32_t n_tokens;
    const char *text; /* encoded with special tokens added, control literals honoured (raw completion) */
    const char *messages_json;              /* OpenAI-style messages for the model's chat template */
    const char *tools_json, *template_json; /* with messages only; may be NULL */
    bool add_generation_prompt;             /* with messages */

    /* Tokens of the answer, at most. 0 with a logits function: score the prompt only (it ends with
     * FINISH_LENGTH); otherwise 0 means up to the context. Prompt and max_tokens together must fit the
     * context. */
    uint32_t max_tokens;
    bool ignore_eos;          /* for timed runs: exact token counts */
    bool show_special;        /* special tokens come as text */
    const char *const *stops; /* stop strings, not emitted; copied */
    uint32_t n_stops;
    struct engine_sampling sampling;
    bool logprobs;
    uint32_t top_logprobs; /* alternatives per token, at most ENGINE_MAX_LOGPROBS */

    enum engine_grammar_kind grammar_kind;
    const char *grammar; /* copied */
    bool embedding;      /* no answer: what the model makes of the prompt's last token, as EVENT_EMBEDDING */
    bool no_cache;       /* neither uses nor leaves pages of its prompt: for timed runs */
    bool prompt_only;    /* no answer (max_tokens 0): the prompt's pages are computed, and left to be found */

    engine_logits_function on_logits; /* only where the engine is in this process: else ERROR_UNSUPPORTED */
    void *on_logits_context;
    /* Called whenever the request's ring has got an event, on the engine's thread: it must only wake
     * somebody. May be NULL. Only where the engine is in this process. The last call is for the FINISH event;
     * the context must live until engine_request_release returns. */
    void (*on_event)(void *context);
    void *on_event_context;
};

/* Tokenizes on the caller's thread and queues the request. *out is the caller's until engine_request_release.
 * Errors: ERROR_INVALID (the prompt, an option: the message names it), ERROR_LIMIT (longer than the context),
 * ERROR_UNSUPPORTED (messages, and the model has no chat template), ERROR_BUSY (queue_limit requests wait
 * already), ERROR_IO (the worker process is gone). */
int engine_submit(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                  struct error *error);
/* Takes effect within one step; the finish event still comes. */
void engine_cancel(struct engine_request *request);
/* Cancels when it still runs, waits until the engine has let go, frees. NULL is legal. */
void engine_request_release(struct engine_request *request);

enum engine_finish {
    FINISH_NONE,
    FINISH_STOP,      /* an EOS token or a stop string */
    FINISH_LENGTH,    /* max_tokens, or the context is full */
    FINISH_CANCELLED, /* engine_cancel, engine_request_release or engine_close */
    FINISH_ERROR      /* event.error says why */
};

/* In this order: PREFILL ..., TOKEN ..., FINISH. The token that ends the answer (EOS, or the one that
 * completes a stop string) comes as an event too and is counted; EOS has no text. Progress is left out when
 * the reader is late, tokens never are. */
enum engine_event_kind {
    EVENT_PREFILL,   /* progress: prompt_done of prompt_tokens */
    EVENT_TOKEN,     /* one generated token, and the text it completes (may be empty) */
    EVENT_EMBEDDING, /* text: text_length / sizeof(float) numbers of the embedding, behind those of the event
                        before */
    EVENT_FINISH     /* the last event: reason, the rest of the text, timings */
};

/* Natural logarithm of softmax(logits of the model): before bias, penalties and temperature. */
struct engine_logprob {
    int32_t token;
    float logprob;
};

/* One monotonic clock (platform/clock.h), nanoseconds. */
struct engine_timings {
    uint64_t accepted_ns;      /* t0: submit was called */
    uint64_t tokenized_ns;     /* prompt encoded */
    uint64_t prefill_start_ns; /* first step with a token of this prompt began */
    uint64_t first_token_ns;   /* t1 */
    uint64_t last_token_ns;    /* tn */
    uint32_t prompt_tokens, cached_tokens, generated_tokens;
    uint32_t drafted_tokens, accepted_tokens; /* guessed, and of them right */
};

enum { ENGINE_EVENT_TEXT = 512 };

struct engine_event {
    enum engine_event_kind kind;
    uint64_t time_ns;
    uint32_t prompt_done, prompt_tokens; /* PREFILL */
    int32_t token;                       /* TOKEN */
    uint16_t text_length;                /* TOKEN and FINISH; bytes, whole UTF-8 characters */
    char text[ENGINE_EVENT_TEXT];
    bool more_text; /* TOKEN: a further event of the same token follows (very long pieces) */
    bool control;   /* TOKEN: text is one control token, whole (only with show_special) */
    /* TOKEN: the prompt, rendered from messages, ended with an open <think>: the answer starts inside it. */
    bool starts_thinking;
    float logprob; /* TOKEN, with logprobs */
    uint32_t n_top;
    struct engine_logprob top[ENGINE_MAX_LOGPROBS];
    enum engine_finish finish;     /* FINISH */
    struct error error;            /* FINISH_ERROR */
    struct engine_timings timings; /* FINISH */
};

/* The next event, waiting up to timeout_ms (< 0: for ever). Returns 1 with *event filled, 0 on time-out, -1
 * after EVENT_FINISH was taken. One reader per request. */
int engine_next_event(struct engine_request *request, struct engine_event *event, int timeout_ms);

/* ---- prompts that outlast the process ---- */

struct engine_saved_prompt {
    uint32_t n_tokens, n_prompt; /* kept: whole pages only; of the prompt */
    uint64_t file_bytes;
};
/* Writes the whole pages of a prompt's beginning into a file, from which engine_options.prompt_cache takes
 * them: requests that begin with these tokens then find them computed, bit for bit, by any engine of this
 * model with the same adapter, backend, ISA, kv_bits and precise. Of *prompt only what says the prompt is
 * used; NULL: nothing is written, only said whether this engine could. The prompt has been computed before,
 * by a request for it (prompt_only, for one) whose pages are still known. The file appears whole or not at
 * all, and may be read by its owner only; its format is prompt_cache_file.h's. Waits for the engine's thread;
 * not while requests run. Errors: those of engine_submit about the prompt, ERROR_INVALID (shorter than a
 * page), ERROR_NOT_FOUND (not computed; no such folder), ERROR_BUSY, ERROR_IO (a full disk),
 * ERROR_UNSUPPORTED (as engine_open; the engine lives in another process). */
int engine_save_prompt_cache(struct engine *engine, const struct engine_submit *prompt, const char *path,
                             struct engine_saved_prompt *out, struct error *error);

/* ---- figures ---- */

struct engine_stats {
    uint32_t active_sequences, queued_requests;
    uint32_t pages_total, pages_used;
    uint32_t pages_cached; /* of pages_used: nobody's, kept for prompts that begin alike */
    uint64_t steps, prefill_tokens, generated_tokens, finished_requests, cancelled_requests;
    uint64_t cached_tokens;     /* prompt tokens that were found in the pages, not computed */
    uint64_t rejected_requests; /* ERROR_BUSY */
    uint64_t drafted_tokens, accepted_tokens;
    uint64_t step_ns;                               /* time spent in steps */
    uint64_t weight_bytes, kv_bytes, scratch_bytes; /* allocated */
    uint64_t kv_used_bytes;
    uint64_t allocator_active_bytes, allocator_peak_bytes, allocator_cache_bytes; /* as in backend.h */
};
void engine_stats(struct engine *engine, struct engine_stats *out);

/* Runs one decode step of n_tokens random sequences (one token each, at most max_sequences) at a depth, with
 * and without tracing, several times in turn, and returns nanoseconds per segment of the traced run of median
 * length; names come from the plan. The depth is really filled first, which takes as long as prefilling it.
 * Fails with ERROR_BUSY while requests run, and when other programs interrupted every step; requests
 * submitted meanwhile wait. The arrays are malloc'ed, the caller's. */
struct engine_trace_segment {
    const char *name; /* "layers.0.self_attn.q_proj … v_proj"; owned by the trace */
    uint32_t first_op, n_ops;
    uint64_t ns;
};
struct engine_trace {
    uint32_t n_segments;
    struct engine_trace_segment *segments;
    uint64_t traced_step_ns, plain_step_ns;
};
int engine_trace(struct engine *engine, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                 struct error *error);
void engine_trace_free(struct engine_trace *trace);

#endif
