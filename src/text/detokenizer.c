/* A UTF-8 state machine over the bytes of tokens.
 *
 * What is not UTF-8 becomes U+FFFD once per maximal subpart (The Unicode Standard, 3.9, "U+FFFD Substitution
 * of Maximal Subparts"), which is what Python's bytes.decode("utf-8", errors="replace") and Rust's
 * from_utf8_lossy do: the start of a character is given up at the first byte that cannot continue it, and
 * that byte is looked at again.
 */
#include "text/detokenizer.h"

#include <string.h>

#include "text/internal.h"
#include "text/tokenizer.h"

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer, bool with_special,
                      bool continues)
{
    *detokenizer =
        (struct detokenizer){.tokenizer = tokenizer, .at_start = !continues, .with_special = with_special};
}

size_t detokenizer_max_piece(const struct tokenizer *tokenizer)
{
    /* Every byte gives at most three; four more for a character that waited for its last byte. */
    return 3 * tokenizer->longest_token_bytes + 4;
}

/* How many bytes a character has that begins with this one; 0: none begins so. */
static unsigned character_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF) {
        return 2;
    }
    if (first >= 0xE0 && first <= 0xEF) {
        return 3;
    }
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* May byte follow the n_pending bytes that stand before it? (Table 3-7 of the standard: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF.) */
static bool may_continue(const unsigned char *pending, unsigned n_pending, unsigned char byte)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (n_pending == 1) {
        switch (pending[0]) {
        case 0xE0:
            low = 0xA0;
            break;
        case 0xED:
            high = 0x9F;
            break;
        case 0xF0:
            low = 0x90;
            break;
        case 0xF4:
            high = 0x8F;
            break;
        default:
            break;
        }
    }
    return byte >= low && byte <= high;
}

static char *put_replacement(char *out)
{
    memcpy(out, "\xEF\xBF\xBD", 3);
    return out + 3;
}

static char *push_byte(struct detokenizer *d, unsigned char byte, char *out)
{
    if (d->n_pending > 0) {
        if (may_continue(d->pending, d->n_pending, byte)) {
            d->pending[d->n_pending++] = byte;
            if (d->n_pending == character_length(d->pending[0])) {
                memcpy(out, d->pending, d->n_pending);
                out += d->n_pending;
                d->n_pending = 0;
            }
            return out;
        }
        out = put_replacement(out);
        d->n_pending = 0;
    }
    switch (character_length(byte)) {
    case 0:
        return put_replacement(out);
    case 1:
        *out = (char)byte;
        return out + 1;
    default:
        d->pending[0] = byte;
        d->n_pending = 1;
        return out;
    }
}

size_t detokenizer_push(struct detokenizer *detokenizer, int32_t id, char *out, size_t capacity)
{
    const struct tokenizer *tokenizer = detokenizer->tokenizer;
    size_t length = 0;
    const char *bytes = tokenizer_token_bytes(tokenizer, id, detokenizer->with_special, &length);
    if (length == 0 || capacity < 3 * length + 4) {
        return 0; /* the second is a broken promise of the caller */
    }
    bool drop_spaces = false;
    if (detokenizer->at_start) {
        detokenizer->at_start = false;
        drop_spaces = tokenizer->info.first_space == LLMIND_FIRST_SPACE_ALL_OF_FIRST_TOKEN;
        if (tokenizer->info.first_space == LLMIND_FIRST_SPACE_ONE_DROPPED && bytes[0] == ' ') {
            bytes++;
            length--;
        }
    }
    char *end = out;
    for (size_t i = 0; i < length; i++) {
        if (!drop_spaces || bytes[i] != ' ') {
            end = push_byte(detokenizer, (unsigned char)bytes[i], end);
        }
    }
    return (size_t)(end - out);
}

size_t detokenizer_finish(struct detokenizer *detokenizer, char *out, size_t capacity)
{
    bool left = detokenizer->n_pending > 0 && capacity >= 3;
    detokenizer->n_pending = 0;
    return left ? (size_t)(put_replacement(out) - out) : 0;
}
