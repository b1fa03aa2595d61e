/* Written page by page from where they lie, read page by page to where they shall be: what a file costs in
 * memory is its header and its tokens. Everything is read once, in order, and judged where it was read to:
 * whoever writes to the file meanwhile, or shortens it, spoils it and nothing else. Messages do not say where
 * the file lies: clients of a server read them, and who runs a command has just named it. */
#include "engine/prompt_cache_file.h"

#include <stdlib.h>
#include <string.h>

#include "engine/prompt_cache_header.h"
#include "platform/new_file.h"

#define CALLED "the prompt cache"

/* ---- writing ---- */

/* What follows the header. */
static int write_text(struct new_file *file, const struct prompt_cache_identity *identity,
                      const struct prompt_cache_text *text, struct error *error)
{
    XXH64_state_t hash;
    size_t n = text->n_tokens * sizeof *text->tokens;
    XXH64_reset(&hash, 0);
    XXH64_update(&hash, text->tokens, n);
    int status = new_file_write(file, text->tokens, n, error);
    for (uint32_t i = 0; !status && i < text->n_tokens / identity->page_tokens; i++) {
        const uint8_t *bytes = text->page(text->context, i);
        XXH64_update(&hash, bytes, identity->page_bytes);
        status = new_file_write(file, bytes, identity->page_bytes, error);
    }
    uint64_t checksum = XXH64_digest(&hash);
    return status ? status : new_file_write(file, &checksum, sizeof checksum, error);
}

int prompt_cache_write(const char *path, const struct prompt_cache_identity *identity,
                       const struct prompt_cache_text *text, uint64_t *file_bytes, struct error *error)
{
    struct new_file file;
    size_t bytes, n_header = header_bytes(identity->n_caches);
    *file_bytes = 0;
    if (identity->n_caches > PROMPT_CACHE_MAX_CACHES || !header_file_bytes(identity, text->n_tokens, &bytes))
        return error_set(error, ERROR_LIMIT, "a prompt cache of %u layers and %u tokens is too large",
                         identity->n_caches, text->n_tokens);
    uint8_t *header = malloc(n_header);
    if (!header)
        return error_memory(error, "the header of a prompt cache", n_header);
    header_make(identity, text->n_tokens, bytes, header);
    int status = new_file_open(&file, path, error);
    if (!status)
        status = new_file_write(&file, header, n_header, error);
    if (!status)
        status = write_text(&file, identity, text, error);
    if (!status)
        status = new_file_commit(&file, error);
    new_file_close(&file);
    free(header);
    if (!status)
        *file_bytes = bytes;
    return status;
}

/* ---- reading ---- */

static int damaged(const char *what, struct error *error)
{
    return error_set(error, ERROR_INVALID, CALLED " is damaged: %s. Make it again", what);
}

static int cut_short(const char *where, struct error *error)
{
    return error_set(error, ERROR_INVALID, CALLED " is cut short: it ends within its %s. Make it again",
                     where);
}

/* Reads the header and proves that it is what was written. */
static int read_header(struct prompt_cache_reader *reader, struct error *error)
{
    uint8_t fixed[HEADER_FIXED_BYTES] = {0};
    size_t length = reader->file.length < sizeof fixed ? reader->file.length : sizeof fixed;
    if (!file_reader_take(&reader->file, fixed, length))
        return cut_short("header", error);
    int status = header_check_format(fixed, length, error);
    if (status)
        return status;
    uint32_t n_caches = header_caches(fixed);
    if (length == sizeof fixed && n_caches > PROMPT_CACHE_MAX_CACHES)
        return damaged("its header names more layers than there can be", error);
    reader->header_bytes = header_bytes(n_caches);
    if (length < sizeof fixed || reader->file.length < reader->header_bytes)
        return cut_short("header", error);
    reader->header = malloc(reader->header_bytes);
    if (!reader->header)
        return error_memory(error, "the header of a prompt cache", reader->header_bytes);
    memcpy(reader->header, fixed, sizeof fixed);
    if (!file_reader_take(&reader->file, reader->header + sizeof fixed, reader->header_bytes - sizeof fixed))
        return cut_short("header", error);
    size_t end = reader->header_bytes - HEADER_CHECKSUM_BYTES;
    uint64_t checksum;
    memcpy(&checksum, reader->header + end, sizeof checksum);
    return checksum == XXH64(reader->header, end, 0)
               ? 0
               : damaged("the checksum of its header is not right", error);
}

static int check_length(const struct prompt_cache_reader *reader, struct error *error)
{
    uint64_t announced = header_announced_bytes(reader->header);
    if (announced == reader->file.length)
        return 0;
    return error_set(error, ERROR_INVALID,
                     CALLED " %s: it has %zu bytes, and %llu were written. Make it again",
                     reader->file.length < announced ? "is cut short" : "is longer than it was",
                     reader->file.length, (unsigned long long)announced);
}

/* How many tokens and pages there are, now that a page is known to be the engine's own. */
static int check_counts(struct prompt_cache_reader *reader, const struct prompt_cache_identity *own,
                        uint32_t max_tokens, struct error *error)
{
    uint32_t n = header_tokens(reader->header);
    size_t bytes;
    if (n > max_tokens)
        return error_set(error, ERROR_LIMIT,
                         CALLED " holds %u tokens, more than the context of %u: --ctx %u makes room for them",
                         n, max_tokens, n);
    if (!n || n % own->page_tokens || !header_file_bytes(own, n, &bytes) || bytes != reader->file.length)
        return damaged("its counts contradict its length", error);
    reader->n_tokens = n;
    reader->n_pages = n / own->page_tokens;
    reader->page_bytes = (size_t)own->page_bytes;
    return 0;
}

static int read_tokens(struct prompt_cache_reader *reader, uint32_t vocab, struct error *error)
{
    size_t bytes = reader->n_tokens * sizeof *reader->tokens;
    reader->tokens = malloc(bytes);
    if (!reader->tokens)
        return error_memory(error, "the tokens of a prompt cache", bytes);
    if (!file_reader_take(&reader->file, reader->tokens, bytes))
        return cut_short("tokens", error);
    XXH64_reset(&reader->hash, 0);
    XXH64_update(&reader->hash, reader->tokens, bytes);
    for (uint32_t i = 0; i < reader->n_tokens; i++)
        if (reader->tokens[i] < 0 || (uint32_t)reader->tokens[i] >= vocab)
            return damaged("not all of its tokens are the model's", error);
    return 0;
}

int prompt_cache_open(struct prompt_cache_reader *reader, const char *path,
                      const struct prompt_cache_identity *own, uint32_t max_tokens, struct error *error)
{
    *reader = (struct prompt_cache_reader){.file = {.descriptor = -1}};
    int status = file_reader_open(path, CALLED, &reader->file, error);
    if (!status)
        status = read_header(reader, error);
    if (!status)
        status = check_length(reader, error);
    if (!status)
        status = header_compare(reader->header, own, error);
    if (!status)
        status = check_counts(reader, own, max_tokens, error);
    return status ? status : read_tokens(reader, own->vocab, error);
}

int prompt_cache_check_model(const struct prompt_cache_reader *reader,
                             const struct prompt_cache_identity *own, struct error *error)
{
    return header_compare_fingerprint(reader->header, own, error);
}

int prompt_cache_read_page(struct prompt_cache_reader *reader, uint8_t *out, struct error *error)
{
    if (!file_reader_take(&reader->file, out, reader->page_bytes))
        return cut_short("pages", error);
    XXH64_update(&reader->hash, out, reader->page_bytes);
    return 0;
}

int prompt_cache_finish(struct prompt_cache_reader *reader, struct error *error)
{
    uint64_t checksum;
    if (!file_reader_take(&reader->file, &checksum, sizeof checksum))
        return cut_short("last checksum", error);
    return checksum == XXH64_digest(&reader->hash) ? 0 : damaged("its checksum is not right", error);
}

void prompt_cache_close(struct prompt_cache_reader *reader)
{
    free(reader->tokens);
    free(reader->header);
    file_reader_close(&reader->file);
    *reader = (struct prompt_cache_reader){.file = {.descriptor = -1}};
}
