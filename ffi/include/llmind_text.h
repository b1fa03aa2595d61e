/* The C face of the Rust crate in this folder: Hugging Face tokenizers, chat templates and grammars.
 *
 * It knows bytes and ids, not files or models: src/text/ reads the files and is the only caller. Rules that
 * hold for every function:
 *
 *   strings    (pointer, length) pairs of UTF-8, not zero-terminated; they are read during the call only.
 * Bytes that are not UTF-8 are taken as U+FFFD where text is encoded, and refused where JSON or a template is
 * expected. results    0, or one of the codes below, which are those of base/error.h. On failure the out
 * parameters are NULL / 0 and error[0..error_capacity) holds one zero-terminated line (cut on a character
 * boundary when too long). hostility  tokenizer files, templates and texts may be malicious. Panics of the
 * Rust code are caught and become LLMIND_TEXT_INTERNAL; sizes, nesting, work and output are limited
 * (LLMIND_TEXT_LIMIT). threads    handles are immutable once opened: any number of threads may use one at
 * once, one closes it. growth     structs begin with struct_size = sizeof; a library older than its caller
 * refuses what it does not know.
 */
#ifndef LLMIND_TEXT_H
#define LLMIND_TEXT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum llmind_text_code {
    LLMIND_TEXT_OK = 0,
    LLMIND_TEXT_INVALID = -1,     /* the input is wrong */
    LLMIND_TEXT_NOT_FOUND = -2,   /* nothing of that name */
    LLMIND_TEXT_UNSUPPORTED = -3, /* it is right, and this library cannot do it */
    LLMIND_TEXT_LIMIT = -6,       /* too large, too long, too much work */
    LLMIND_TEXT_BUSY = -7,        /* try again in a moment */
    LLMIND_TEXT_INTERNAL = -9     /* a panic, or a broken promise of the caller */
};

/* The mark: EF B7 91 in UTF-8, a noncharacter. It follows every character of a user's text at which a control
 * token could begin, so that a prompt tells genuine control tokens from typed ones. */
#define LLMIND_TEXT_MARK "\xEF\xB7\x91"

/* ---- tokenizers ---- */

struct llmind_tokenizer;

/* Opens a tokenizer from the contents of tokenizer.json (at most 128 MB) and tokenizer_config.json (at most
 * 32 MB; NULL when there is none). Truncation and padding in the file are ignored; tokens that only
 * tokenizer_config.json names are added, as transformers does. */
int llmind_tokenizer_open(const uint8_t *tokenizer_json, size_t tokenizer_json_length,
                          const uint8_t *config_json, size_t config_json_length,
                          struct llmind_tokenizer **out, char *error, size_t error_capacity);
void llmind_tokenizer_close(struct llmind_tokenizer *tokenizer); /* NULL is legal */

enum llmind_first_space {
    LLMIND_FIRST_SPACE_KEPT = 0,
    LLMIND_FIRST_SPACE_ONE_DROPPED = 1,       /* a text loses one leading space */
    LLMIND_FIRST_SPACE_ALL_OF_FIRST_TOKEN = 2 /* the first token of a text loses every space (Metaspace) */
};

struct llmind_tokenizer_info {
    size_t struct_size;      /* in: sizeof(struct llmind_tokenizer_info) */
    uint32_t vocab_size;     /* the highest id + 1 */
    int32_t bos, eos;        /* as tokenizer_config.json names them, or -1 */
    int32_t first_space;     /* enum llmind_first_space */
    const uint8_t *bytes;    /* the texts of all tokens inside a text, one after the other */
    const uint32_t *offsets; /* [vocab_size + 1]: token id is bytes[offsets[id] .. offsets[id + 1]) */
    const uint8_t *special;  /* [vocab_size]: 1 for special tokens */
};

/* Fills *info; its pointers live as long as the tokenizer. */
int llmind_tokenizer_info(const struct llmind_tokenizer *tokenizer, struct llmind_tokenizer_info *info);

enum llmind_encode_flags {
    LLMIND_ENCODE_ADD_SPECIAL = 1, /* add what the post-processor adds: a BOS, say */
    LLMIND_ENCODE_RENDERED = 2     /* the text is a rendered template: honour the marks in it, add nothing */
};

/* *ids: freed with llmind_ids_free(*ids, *count). text has at most 16 MB. */
int llmind_tokenizer_encode(const struct llmind_tokenizer *tokenizer, const uint8_t *text, size_t length,
                            uint32_t flags, uint32_t **ids, size_t *count, char *error,
                            size_t error_capacity);
void llmind_ids_free(uint32_t *ids, size_t count); /* NULL is legal */

/* The id of the token whose content is exactly this, or -1. */
int32_t llmind_tokenizer_find(const struct llmind_tokenizer *tokenizer, const uint8_t *content,
                              size_t length);

/* ---- chat templates ---- */

struct llmind_template;

/* Opens the template of a model: jinja (the text of chat_template.jinja) when given, else what the
 * tokenizer's tokenizer_config.json holds under "chat_template", else what chat_template.json holds. *out is
 * NULL with result 0 when there is none. The template keeps the tokenizer alive by itself; closing them in
 * any order is legal. */
int llmind_template_open(const struct llmind_tokenizer *tokenizer, const uint8_t *jinja, size_t jinja_length,
                         const uint8_t *template_json, size_t template_json_length,
                         struct llmind_template **out, char *error, size_t error_capacity);
void llmind_template_close(struct llmind_template *chat_template); /* NULL is legal */

struct llmind_template_input {
    size_t struct_size;      /* sizeof(struct llmind_template_input) */
    const uint8_t *messages; /* JSON array of messages */
    size_t messages_length;
    const uint8_t *tools; /* JSON array, or NULL */
    size_t tools_length;
    const uint8_t *extra; /* JSON object of further variables, or NULL */
    size_t extra_length;
    uint8_t add_generation_prompt;
    uint8_t continue_final_message; /* the text ends inside the last message, as transformers does it */
};

/* Renders as transformers' apply_chat_template(tokenize=False) does, except that marks stand in the users'
 * texts. *text: freed with llmind_text_free(*text, *length). */
int llmind_template_render(const struct llmind_template *chat_template,
                           const struct llmind_template_input *input, uint8_t **text, size_t *length,
                           char *error, size_t error_capacity);
void llmind_text_free(uint8_t *text, size_t length); /* NULL is legal */

/* ---- grammars ---- */

/* What all grammars of one model share: its vocabulary as a trie of bytes. */
struct llmind_grammar_factory;

/* vocab: rows of the model's output; ids that the tokenizer does not have are never allowed. eos: what ends
 * an answer of this model; may be empty. Takes a few hundred milliseconds and some ten
 * megabytes for 128k tokens. The tokenizer may be closed afterwards. */
int llmind_grammar_factory_open(const struct llmind_tokenizer *tokenizer, uint32_t vocab, const uint32_t *eos,
                                size_t n_eos, struct llmind_grammar_factory **out, char *error,
                                size_t error_capacity);
/* NULL is legal. Grammars of this factory may outlive it. */
void llmind_grammar_factory_close(struct llmind_grammar_factory *factory);

enum llmind_grammar_kind {
    LLMIND_GRAMMAR_JSON = 1, /* any JSON object; no text */
    LLMIND_GRAMMAR_SCHEMA,   /* a JSON schema (draft 2020-12 unless it says another) */
    LLMIND_GRAMMAR_REGEX,    /* a regular expression, of the whole text */
    LLMIND_GRAMMAR_LARK      /* llguidance's dialect of Lark; names special tokens as <|name|> */
};

/* One text being written. Unlike the other handles it changes: one thread at a time. */
struct llmind_grammar;

/* Compiles text (at most 256 KB; read during the call only). Gives up after about 1.5 seconds. Errors:
 * INVALID (what is wrong with it), UNSUPPORTED (it names what is not enforced), LIMIT (too large, too much
 * work), BUSY (several others are being compiled). */
int llmind_grammar_open(const struct llmind_grammar_factory *factory, uint32_t kind, const uint8_t *text,
                        size_t length, struct llmind_grammar **out, char *error, size_t error_capacity);
void llmind_grammar_close(struct llmind_grammar *grammar); /* NULL is legal */

/* mask: [n_words] with n_words = (vocab + 31) / 32, all written; bit id % 32 of word id / 32 is 1 when token
 * id may come next. Ends of answers are among them exactly where the text may end. Takes some 20 milliseconds
 * at most; more complex grammars end with LIMIT. After an error the grammar can only be closed. */
int llmind_grammar_mask(struct llmind_grammar *grammar, uint32_t *mask, size_t n_words, char *error,
                        size_t error_capacity);

enum llmind_grammar_end {
    LLMIND_GRAMMAR_END_NO = 0,
    LLMIND_GRAMMAR_END_ALLOWED = 1,
    LLMIND_GRAMMAR_END_REACHED = 2 /* nothing but blanks could follow: do not ask for a mask */
};

/* Adds a token that the mask allowed and that is no end; *end: enum llmind_grammar_end. */
int llmind_grammar_accept(struct llmind_grammar *grammar, uint32_t token, int32_t *end, char *error,
                          size_t error_capacity);

#ifdef __cplusplus
}
#endif

#endif
