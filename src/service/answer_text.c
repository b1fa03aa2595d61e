/* Text runs through two filters, thoughts first, then tool calls; each gives what it is sure of to the next,
 * and the last gives pieces. Tokens with log-probabilities wait beside, and leave with the first text that
 * comes out after them.
 */
#include "service/answer_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/checked.h"

void answer_tool_id(char id[ANSWER_TOOL_ID])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    memcpy(id, "call_", 5);
    for (size_t i = 5; i < ANSWER_TOOL_ID - 1; i++) {
        unsigned char byte;
        do { /* 248 is the last multiple of 62: every letter is equally likely */
            if (getrandom(&byte, 1, 0) != 1)
                byte = 0;
        } while (byte >= 248);
        id[i] = alphabet[byte % 62];
    }
    id[ANSWER_TOOL_ID - 1] = '\0';
}

/* Room for one more element of an array that grows. */
static void *grow(struct answer_text *text, void *array, size_t count, size_t *capacity, size_t size)
{
    size_t wanted, bytes;
    if (count < *capacity)
        return array;
    void *grown = NULL;
    if (checked_add(*capacity, *capacity / 2 + 8, &wanted) && checked_mul(wanted, size, &bytes))
        grown = realloc(array, bytes);
    if (!grown) {
        text->failed = true;
        return array;
    }
    *capacity = wanted;
    return grown;
}

static struct answer_text_piece *add_piece(struct answer_text *text, enum answer_piece_kind kind,
                                           const char *bytes, size_t length)
{
    text->pieces = grow(text, text->pieces, text->n_pieces, &text->pieces_capacity, sizeof *text->pieces);
    if (text->failed)
        return NULL;
    struct answer_text_piece *piece = &text->pieces[text->n_pieces++];
    *piece = (struct answer_text_piece){.kind = kind, .at = text->bytes.length, .length = length};
    buffer_append(&text->bytes, bytes, length);
    if (kind == ANSWER_TEXT || kind == ANSWER_REASONING) {
        piece->has_tokens = text->n_tokens > text->n_tokens_out;
        text->n_tokens_out = text->n_tokens;
    }
    return piece;
}

/* ---- the filters ---- */

static void take_call_or_text(void *context, const char *name, const char *bytes, size_t length)
{
    struct answer_text *text = context;
    if (!name) {
        add_piece(text, ANSWER_TEXT, bytes, length);
        return;
    }
    char id[ANSWER_TOOL_ID];
    answer_tool_id(id);
    for (int i = 0; i < 2; i++) {
        struct answer_text_piece *piece = i ? add_piece(text, ANSWER_TOOL_ARGUMENTS, bytes, length)
                                            : add_piece(text, ANSWER_TOOL_NAME, name, strlen(name));
        if (!piece)
            return;
        piece->tool_index = text->n_calls;
        memcpy(piece->tool_id, id, sizeof id);
    }
    text->n_calls++;
}

static void take_thought(void *context, bool thinking, const char *bytes, size_t length)
{
    struct answer_text *text = context;
    if (thinking)
        add_piece(text, ANSWER_REASONING, bytes, length);
    else if (text->tools)
        tool_calls_feed(&text->calls, bytes, length, false);
    else
        add_piece(text, ANSWER_TEXT, bytes, length);
}

static void feed_text(struct answer_text *text, const struct engine_event *event)
{
    bool content = !text->reasoning || text->thoughts.state == REASONING_CONTENT;
    if (!event->text_length)
        return;
    if (event->control && text->tools) { /* in a thought it means nothing, and is not shown either */
        if (content || text->thoughts.state != REASONING_INSIDE)
            tool_calls_feed(&text->calls, event->text, event->text_length, true);
        return;
    }
    if (text->reasoning)
        reasoning_feed(&text->thoughts, event->text, event->text_length, take_thought, text);
    else
        take_thought(text, false, event->text, event->text_length);
}

/* ---- events ---- */

static void keep_token(struct answer_text *text, const struct engine_event *event)
{
    if (!text->logprobs || event->more_text)
        return;
    text->tokens = grow(text, text->tokens, text->n_tokens, &text->tokens_capacity, sizeof *text->tokens);
    if (!text->failed)
        text->tokens[text->n_tokens++] = *event;
}

static void finish(struct answer_text *text, const struct engine_event *event)
{
    if (text->reasoning)
        reasoning_finish(&text->thoughts, take_thought, text);
    if (text->tools)
        tool_calls_finish(&text->calls);
    /* the token that ended the answer is not a part of it */
    if (event->finish == FINISH_STOP && text->n_tokens > text->n_tokens_out && !event->text_length &&
        !text->tokens[text->n_tokens - 1].text_length)
        text->n_tokens--;
    if (text->n_tokens > text->n_tokens_out)
        add_piece(text, ANSWER_TEXT, "", 0);
    text->end = (struct answer_piece){.kind = ANSWER_END,
                                      .finish = event->finish,
                                      .has_tool_calls = text->n_calls > 0,
                                      .reasoning_tokens = text->reasoning_tokens,
                                      .timings = event->timings,
                                      .error = event->error};
    if (answer_text_is_enough(text) && event->finish == FINISH_CANCELLED)
        text->end.finish = FINISH_STOP; /* it was we who had enough */
    text->ended = true;
}

void answer_text_begin(struct answer_text *text)
{
    text->calls.tools = text->tools;
    text->calls.only_first = text->one_call;
    text->calls.sink = take_call_or_text;
    text->calls.context = text;
    reasoning_init(&text->thoughts, false);
}

void answer_text_feed(struct answer_text *text, const struct engine_event *event)
{
    buffer_clear(&text->bytes);
    text->n_pieces = text->next_piece = 0;
    if (text->n_tokens_out && text->n_tokens > text->n_tokens_out)
        memmove(text->tokens, text->tokens + text->n_tokens_out,
                (text->n_tokens - text->n_tokens_out) * sizeof *text->tokens);
    text->n_tokens -= text->n_tokens_out;
    text->n_tokens_out = 0;
    if (event->kind == EVENT_PREFILL) {
        text->prompt_tokens = event->prompt_tokens;
        struct answer_text_piece *piece = add_piece(text, ANSWER_PROGRESS, "", 0);
        if (piece) {
            text->end.prompt_done = event->prompt_done;
            text->end.prompt_tokens = event->prompt_tokens;
        }
        return;
    }
    if (event->kind == EVENT_TOKEN) {
        if (!text->begun && event->starts_thinking)
            reasoning_init(&text->thoughts, true);
        text->begun = true;
        text->generated_tokens += !event->more_text;
        keep_token(text, event);
    }
    feed_text(text, event);
    if (event->kind == EVENT_TOKEN && !event->more_text && text->reasoning &&
        (text->thoughts.state == REASONING_INSIDE || text->thoughts.state == REASONING_AFTER))
        text->reasoning_tokens++;
    if (event->kind == EVENT_FINISH)
        finish(text, event);
    if (text->bytes.failed || text->thoughts.held.failed || text->calls.held.failed)
        text->failed = true;
}

bool answer_text_is_enough(const struct answer_text *text)
{
    return text->one_call && text->n_calls > 0;
}

static void fill_piece(const struct answer_text *text, const struct answer_text_piece *from,
                       struct answer_piece *piece)
{
    *piece = (struct answer_piece){
        .kind = from->kind,
        .text = text->bytes.data ? text->bytes.data + from->at : "",
        .length = from->length,
        .tool_index = from->tool_index,
        .tool_id = from->tool_id,
        .timings = {.prompt_tokens = text->prompt_tokens, .generated_tokens = text->generated_tokens}};
    if (from->kind == ANSWER_PROGRESS) {
        piece->prompt_done = text->end.prompt_done;
        piece->prompt_tokens = text->end.prompt_tokens;
    }
    if (from->has_tokens) {
        piece->tokens = text->tokens;
        piece->n_tokens = text->n_tokens_out;
    }
}

bool answer_text_next(struct answer_text *text, struct answer_piece *piece)
{
    if (text->next_piece < text->n_pieces && !text->failed) {
        fill_piece(text, &text->pieces[text->next_piece++], piece);
        return true;
    }
    if (!text->ended || text->end_taken)
        return false;
    text->end_taken = true;
    *piece = text->end;
    if (text->failed) {
        piece->finish = FINISH_ERROR;
        error_memory(&piece->error, "the answer's text", text->bytes.capacity);
    }
    return true;
}

void answer_text_free(struct answer_text *text)
{
    json_decref(text->tools);
    reasoning_free(&text->thoughts);
    tool_calls_free(&text->calls);
    buffer_free(&text->bytes);
    free(text->pieces);
    free(text->tokens);
    *text = (struct answer_text){0};
}
