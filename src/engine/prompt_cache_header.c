/* One list of places serves both directions. A header is compared from what a user sees first (the model) to
 * what only programs know (the layout of a page), so that the reason that is given is the real one. */
#include "engine/prompt_cache_header.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

enum {
    AT_FORMAT = 0,
    AT_FILE_BYTES = 32,
    AT_FINGERPRINT = 40,
    AT_PAGE_BYTES = 48,
    AT_TOKENS = 56,
    AT_PAGE_TOKENS = 60,
    AT_VOCAB = 64,
    AT_KV_BITS = 68,
    AT_PAGE_LAYOUT = 72,
    AT_PRECISE = 76,
    AT_CACHES = 80,
    AT_ZERO = 84,
    AT_MODEL = 88,
    AT_ADAPTER = AT_MODEL + PROMPT_CACHE_NAME_BYTES,
    AT_BACKEND = AT_ADAPTER + PROMPT_CACHE_NAME_BYTES,
    AT_ISA = AT_BACKEND + PROMPT_CACHE_WORD_BYTES,
    AT_PROGRAM = AT_ISA + PROMPT_CACHE_WORD_BYTES
};
_Static_assert(AT_PROGRAM + PROMPT_CACHE_WORD_BYTES == HEADER_FIXED_BYTES, "nothing is left out");

#define FORMAT_FAMILY "llmind.prompt-cache/"

static uint32_t get_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    memcpy(bytes, &value, sizeof value);
}

static void put_u64(uint8_t *bytes, uint64_t value)
{
    memcpy(bytes, &value, sizeof value);
}

/* A text with room for more than it has: the rest stays zero. */
static void put_text(uint8_t *bytes, const char *text)
{
    memcpy(bytes, text, strlen(text));
}

/* ---- lengths ---- */

size_t header_bytes(uint32_t n_caches)
{
    return HEADER_FIXED_BYTES + (size_t)n_caches * HEADER_CACHE_BYTES + HEADER_CHECKSUM_BYTES;
}

bool header_file_bytes(const struct prompt_cache_identity *identity, uint32_t n_tokens, size_t *bytes)
{
    size_t pages, tokens, own = header_bytes(identity->n_caches) + HEADER_CHECKSUM_BYTES;
    return checked_mul(n_tokens / identity->page_tokens, identity->page_bytes, &pages) &&
           checked_mul(n_tokens, sizeof(int32_t), &tokens) && checked_add(own, tokens, bytes) &&
           checked_add(*bytes, pages, bytes);
}

uint32_t header_caches(const uint8_t *fixed)
{
    return get_u32(fixed + AT_CACHES);
}

uint64_t header_announced_bytes(const uint8_t *header)
{
    return get_u64(header + AT_FILE_BYTES);
}

uint32_t header_tokens(const uint8_t *header)
{
    return get_u32(header + AT_TOKENS);
}

/* ---- making ---- */

static void put_cache(uint8_t *out, const struct plan_cache *cache)
{
    put_u32(out, (uint32_t)cache->kind);
    put_u32(out + 4, (uint32_t)cache->layer);
    put_u32(out + 8, cache->n_kv_heads);
    put_u32(out + 12, cache->k_dim);
    put_u32(out + 16, cache->v_dim);
    put_u32(out + 20, cache->window);
}

void header_make(const struct prompt_cache_identity *identity, uint32_t n_tokens, uint64_t file_bytes,
                 uint8_t *out)
{
    size_t end = header_bytes(identity->n_caches) - HEADER_CHECKSUM_BYTES;
    memset(out, 0, end);
    put_text(out + AT_FORMAT, PROMPT_CACHE_FORMAT);
    put_u64(out + AT_FILE_BYTES, file_bytes);
    put_u64(out + AT_FINGERPRINT, identity->fingerprint);
    put_u64(out + AT_PAGE_BYTES, identity->page_bytes);
    put_u32(out + AT_TOKENS, n_tokens);
    put_u32(out + AT_PAGE_TOKENS, identity->page_tokens);
    put_u32(out + AT_VOCAB, identity->vocab);
    put_u32(out + AT_KV_BITS, identity->kv_bits);
    put_u32(out + AT_PAGE_LAYOUT, identity->page_layout);
    put_u32(out + AT_PRECISE, identity->precise);
    put_u32(out + AT_CACHES, identity->n_caches);
    put_text(out + AT_MODEL, identity->model);
    put_text(out + AT_ADAPTER, identity->adapter);
    put_text(out + AT_BACKEND, identity->backend);
    put_text(out + AT_ISA, identity->isa);
    put_text(out + AT_PROGRAM, identity->program);
    for (uint32_t i = 0; i < identity->n_caches; i++)
        put_cache(out + HEADER_FIXED_BYTES + (size_t)i * HEADER_CACHE_BYTES, &identity->caches[i]);
    put_u64(out + end, XXH64(out, end, 0));
}

/* ---- comparing ---- */

int header_check_format(const uint8_t *data, size_t length, struct error *error)
{
    static const char family[] = FORMAT_FAMILY, format[AT_FILE_BYTES] = PROMPT_CACHE_FORMAT;
    if (length < sizeof format || memcmp(data, family, sizeof family - 1) != 0)
        return error_set(error, ERROR_INVALID,
                         "this is no prompt cache: it does not begin with \"%s\" (generate's "
                         "--save-prompt-cache writes them)",
                         PROMPT_CACHE_FORMAT);
    if (memcmp(data, format, sizeof format) == 0)
        return 0;
    return error_set(
        error, ERROR_UNSUPPORTED,
        "the prompt cache is of the format \"%.*s\", and this program reads \"%s\": make it again",
        (int)strnlen((const char *)data, sizeof format), (const char *)data, PROMPT_CACHE_FORMAT);
}

/* A text of the header, whatever is in it. */
static void get_text(const uint8_t *bytes, size_t width, char *out)
{
    memcpy(out, bytes, width - 1);
    out[width - 1] = '\0';
}

enum { MODEL_WORDS = 2 * PROMPT_CACHE_NAME_BYTES + 32 };

/* "Llama-3.2-1B with the adapter tuned" */
static void name_model(const char *model, const char *adapter, char out[MODEL_WORDS])
{
    snprintf(out, MODEL_WORDS, "%s%s%s", model, *adapter ? " with the adapter " : "", adapter);
}

static int other_model(const uint8_t *header, const struct prompt_cache_identity *own, const char *why,
                       struct error *error)
{
    char model[PROMPT_CACHE_NAME_BYTES], adapter[PROMPT_CACHE_NAME_BYTES];
    char its[MODEL_WORDS], ours[MODEL_WORDS];
    get_text(header + AT_MODEL, sizeof model, model);
    get_text(header + AT_ADAPTER, sizeof adapter, adapter);
    name_model(model, adapter, its);
    name_model(own->model, own->adapter, ours);
    return error_set(error, ERROR_INVALID,
                     "the prompt cache was made for the model %s, and this is %s: %s. Run it with that "
                     "model, or make it again "
                     "for this one",
                     its, ours, why);
}

static int compare_cache(const uint8_t *header, uint32_t index, const struct prompt_cache_identity *own,
                         struct error *error)
{
    const uint8_t *at = header + HEADER_FIXED_BYTES + (size_t)index * HEADER_CACHE_BYTES;
    const struct plan_cache *cache = &own->caches[index];
    uint8_t same[HEADER_CACHE_BYTES];
    char why[200];
    put_cache(same, cache);
    if (memcmp(at, same, sizeof same) == 0)
        return 0;
    snprintf(why, sizeof why,
             "of layer %d it keeps %u key heads of %u numbers with a window of %u, and this model %u of %u "
             "with %u",
             (int)cache->layer, get_u32(at + 8), get_u32(at + 12), get_u32(at + 20), cache->n_kv_heads,
             cache->k_dim, cache->window);
    return other_model(header, own, why, error);
}

static int compare_model(const uint8_t *header, const struct prompt_cache_identity *own, struct error *error)
{
    char why[120];
    if (header_caches(header) != own->n_caches) {
        snprintf(why, sizeof why, "it keeps keys and values of %u layers, and this model of %u",
                 header_caches(header), own->n_caches);
        return other_model(header, own, why, error);
    }
    if (get_u32(header + AT_VOCAB) != own->vocab) {
        snprintf(why, sizeof why, "its vocabulary has %u tokens, and this model's %u",
                 get_u32(header + AT_VOCAB), own->vocab);
        return other_model(header, own, why, error);
    }
    int status = 0;
    for (uint32_t i = 0; !status && i < own->n_caches; i++)
        status = compare_cache(header, i, own, error);
    return status;
}

/* What the user can choose: the same keys and values of the same model, computed or kept otherwise. */
static int compare_options(const uint8_t *header, const struct prompt_cache_identity *own,
                           struct error *error)
{
    uint32_t kv_bits = get_u32(header + AT_KV_BITS), precise = get_u32(header + AT_PRECISE);
    if (kv_bits != own->kv_bits)
        return error_set(error, ERROR_INVALID,
                         "the prompt cache keeps %u bits per cached number, and this engine %u: run with "
                         "--kv-bits %u, or make "
                         "it again",
                         kv_bits, own->kv_bits, kv_bits);
    if (precise != own->precise)
        return error_set(error, ERROR_INVALID,
                         "the prompt cache was computed with%s --precise, and this engine computes with%s: "
                         "run it as it was "
                         "made, or make it again",
                         precise ? "" : "out", own->precise ? "" : "out");
    char backend[PROMPT_CACHE_WORD_BYTES], isa[PROMPT_CACHE_WORD_BYTES];
    get_text(header + AT_BACKEND, sizeof backend, backend);
    get_text(header + AT_ISA, sizeof isa, isa);
    if (strcmp(backend, own->backend) != 0 || strcmp(isa, own->isa) != 0)
        return error_set(error, ERROR_INVALID,
                         "the prompt cache was computed by %s/%s, and this engine is %s/%s, whose numbers "
                         "differ in their last "
                         "digits: run with --backend %s --isa %s, or make it again",
                         backend, isa, own->backend, own->isa, backend, isa);
    return 0;
}

int header_compare(const uint8_t *header, const struct prompt_cache_identity *own, struct error *error)
{
    int status = compare_model(header, own, error);
    if (!status)
        status = compare_options(header, own, error);
    if (status)
        return status;
    if (get_u32(header + AT_PAGE_LAYOUT) == own->page_layout &&
        get_u32(header + AT_PAGE_TOKENS) == own->page_tokens &&
        get_u64(header + AT_PAGE_BYTES) == own->page_bytes)
        return 0;
    char program[PROMPT_CACHE_WORD_BYTES];
    get_text(header + AT_PROGRAM, sizeof program, program);
    return error_set(error, ERROR_INVALID,
                     "the prompt cache was written by llmind %s, which laid its pages out otherwise than "
                     "this one (%s): make it "
                     "again",
                     program, own->program);
}

int header_compare_fingerprint(const uint8_t *header, const struct prompt_cache_identity *own,
                               struct error *error)
{
    if (get_u64(header + AT_FINGERPRINT) == own->fingerprint)
        return 0;
    char adapter[PROMPT_CACHE_NAME_BYTES];
    get_text(header + AT_ADAPTER, sizeof adapter, adapter);
    return other_model(header, own,
                       strcmp(adapter, own->adapter) == 0 ? "their weights or their configurations differ"
                                                          : "an adapter changes keys and values",
                       error);
}
