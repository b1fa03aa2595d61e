/* The routes that clients of OpenAI's API know. */
#include "http/openai.h"

#include "http/router.h"

static const struct http_route routes[] = {
    {"GET", "/v1/models", openai_get_models, "Lists the models that can be used.", NULL, "OpenAIModelList", 0,
     false},
    {"GET", "/v1/models/{id...}", openai_get_model, "Describes one model.", NULL, "OpenAIModel", 0, false},
    {"POST", "/v1/chat/completions", openai_post_chat,
     "Answers a conversation, whole or as a stream of chunks.", "ChatCompletionRequest", "ChatCompletion",
     HTTP_MAX_BODY, true},
    {"POST", "/v1/completions", openai_post_completions, "Continues a text, whole or as a stream of chunks.",
     "CompletionRequest", "Completion", HTTP_MAX_BODY, true},
    {"POST", "/v1/embeddings", openai_post_embeddings,
     "One vector for each text: what the model makes of its last token, made to length 1. Of use with models "
     "that were "
     "trained for it, such as Qwen3-Embedding.",
     "EmbeddingsRequest", "Embeddings", HTTP_MAX_BODY, false},
};

const struct http_route_table openai_routes = {routes, sizeof routes / sizeof *routes};
