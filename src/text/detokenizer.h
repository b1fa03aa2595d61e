/* Turns a stream of token ids into UTF-8 text without ever emitting half a character.
 *
 * One detokenizer per sequence, embedded in its owner's struct, touched by one thread. It allocates nothing:
 * bytes that do not yet make a whole character wait in a small buffer. Bytes that can never become valid
 * UTF-8 come out as U+FFFD, as Python's errors="replace" does.
 */
#ifndef LLMIND_TEXT_DETOKENIZER_H
#define LLMIND_TEXT_DETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;

struct detokenizer {
    const struct tokenizer *tokenizer; /* borrowed */
    unsigned char pending[4];          /* the start of a character whose rest has not come yet */
    uint8_t n_pending;
    bool at_start;     /* nothing pushed yet: sentencepiece drops one leading space here */
    bool with_special; /* show special tokens as text */
};

/* continues: the text goes on after a prompt, so a leading space is kept. */
void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer, bool with_special,
                      bool continues);

/* Room that detokenizer_push may need for one token: 3 bytes of U+FFFD for each byte at worst, the longest
 * token of the tokenizer counted once. Use it to size buffers when a sequence is opened. */
size_t detokenizer_max_piece(const struct tokenizer *tokenizer);

/* Writes the text that token id completes to out[0..capacity) and returns its length (0 while a character is
 * half done). capacity must be at least detokenizer_max_piece(). */
size_t detokenizer_push(struct detokenizer *detokenizer, int32_t id, char *out, size_t capacity);

/* What is left at the end: nothing, or one U+FFFD for a character that never got its rest. capacity >= 3. */
size_t detokenizer_finish(struct detokenizer *detokenizer, char *out, size_t capacity);

#endif
