/* A prompt cache on disk: the KV pages of the beginning of a text, so that another process need not compute
 * them. Format "llmind.prompt-cache/1", numbers little-endian:
 *
 *     bytes  what
 *        32  "llmind.prompt-cache/1", filled up with zeros
 *         8  bytes of the whole file
 *         8  fingerprint of the plan (plan/fingerprint.h): model and adapter
 *         8  P, bytes of one page
 *         4  N, tokens: a multiple of T
 *         4  T, positions in one page
 *         4  tokens in the vocabulary
 *         4  bits per cached number
 *         4  layout of a page's bytes (backend_page_layout)
 *         4  1: computed with every operation in f32; 0
 *         4  C, caches of the plan
 *         4  zero
 *       128  name of the model, 128 of its adapter ("": none): texts that end with a zero
 *        32  backend, 32 ISA, 32 the program that wrote it
 *    24 * C  of each cache: kind, layer, key heads, numbers of a key, of a value, window
 *         8  XXH64 of everything before
 *     4 * N  token ids
 * P * N / T  pages: of each cache in turn all key heads' keys and values, as the backend keeps them
 *         8  XXH64 of tokens and pages
 *
 * Such a file is hostile until it was checked: nothing but the header itself (at most 65,536 caches, and
 * no longer than the file) is allocated from a number in it before that was held against the engine's own,
 * and no page becomes known before the last checksum was right. What checksums cannot tell is whether
 * somebody made the file up: its keys and values say what the model has read, so it deserves as much trust as
 * the model itself.
 *
 * This module knows files and identities. Which pages they go to is prompt_cache.c's.
 */
#ifndef LLMIND_ENGINE_PROMPT_CACHE_FILE_H
#define LLMIND_ENGINE_PROMPT_CACHE_FILE_H

#include <stddef.h>
#include <stdint.h>

#define XXH_STATIC_LINKING_ONLY /* the state is ours to place */
#include <xxhash.h>

#include "base/error.h"
#include "plan/plan.h"
#include "platform/file.h"

enum { PROMPT_CACHE_NAME_BYTES = 128, PROMPT_CACHE_WORD_BYTES = 32, PROMPT_CACHE_MAX_CACHES = 65536 };
#define PROMPT_CACHE_FORMAT "llmind.prompt-cache/1"

/* What a page's bytes depend on, and what to call it. Texts end with a zero. */
struct prompt_cache_identity {
    char model[PROMPT_CACHE_NAME_BYTES], adapter[PROMPT_CACHE_NAME_BYTES]; /* for messages, not compared */
    char program[PROMPT_CACHE_WORD_BYTES];                                 /* likewise */
    char backend[PROMPT_CACHE_WORD_BYTES], isa[PROMPT_CACHE_WORD_BYTES];
    uint64_t fingerprint, page_bytes;
    uint32_t page_tokens, page_layout, vocab, kv_bits, precise;
    const struct plan_cache *caches; /* [n_caches], borrowed */
    uint32_t n_caches;
};

/* ---- writing ---- */

struct prompt_cache_text {
    const int32_t *tokens; /* [n_tokens] */
    uint32_t n_tokens;     /* a multiple of the identity's page_tokens */
    /* The bytes of the text's page `index`: page_bytes of them, until the next call. */
    const uint8_t *(*page)(void *context, uint32_t index);
    void *context;
};
/* Writes a text's tokens and pages; whole or not at all. *file_bytes: what the file has; 0 after an error.
 * Errors: those of new_file_open, ERROR_IO, ERROR_MEMORY, ERROR_LIMIT (more caches than the format has room
 * for). */
int prompt_cache_write(const char *path, const struct prompt_cache_identity *identity,
                       const struct prompt_cache_text *text, uint64_t *file_bytes, struct error *error);

/* ---- reading ---- */

struct prompt_cache_reader {
    struct file_reader file; /* at the next page */
    uint8_t *header;
    size_t header_bytes;
    int32_t *tokens; /* [n_tokens], each below the vocabulary; right only when prompt_cache_finish says so */
    uint32_t n_tokens, n_pages;
    size_t page_bytes;
    XXH64_state_t hash; /* of tokens and pages so far */
};

/* Opens a file and holds all but the fingerprint against an engine's own identity, whose fingerprint is not
 * looked at: counting it takes longer than all of this. At most max_tokens tokens. *reader must be closed,
 * also after an error. Errors: ERROR_NOT_FOUND, ERROR_IO, ERROR_INVALID (no prompt cache, damaged, cut short;
 * or made for another model or other options: which, and what to do), ERROR_UNSUPPORTED (of a newer format),
 * ERROR_LIMIT (more tokens), ERROR_MEMORY. */
int prompt_cache_open(struct prompt_cache_reader *reader, const char *path,
                      const struct prompt_cache_identity *own, uint32_t max_tokens, struct error *error);
/* ERROR_INVALID unless the file is of a plan with own's fingerprint. */
int prompt_cache_check_model(const struct prompt_cache_reader *reader,
                             const struct prompt_cache_identity *own, struct error *error);
/* The next page into out[0 .. page_bytes); n_pages times. ERROR_INVALID when the file was shortened. */
int prompt_cache_read_page(struct prompt_cache_reader *reader, uint8_t *out, struct error *error);
/* After the last page: ERROR_INVALID when tokens or pages are not those that were written. */
int prompt_cache_finish(struct prompt_cache_reader *reader, struct error *error);
void prompt_cache_close(struct prompt_cache_reader *reader);

#endif
