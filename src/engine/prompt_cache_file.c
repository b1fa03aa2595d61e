/* Written page by page from where they lie, read page by page to where they shall be: what a file costs in
 * memory is its header and its tokens. A file is mapped while it is read; everything is copied first and
 * judged by the copy, so that whoever writes to the file meanwhile spoils it and nothing else. */
#include "engine/prompt_cache_file.h"

#include <stdlib.h>
#include <string.h>

#include "engine/prompt_cache_header.h"
#include "platform/new_file.h"

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

static int damaged(const struct prompt_cache_reader *reader, const char *what, struct error *error)
{
    return error_set(error, ERROR_INVALID, "%s is damaged: %s. Make it again", reader->path, what);
}

static int cut_short(const struct prompt_cache_reader *reader, struct error *error)
{
    return error_set(error, ERROR_INVALID, "%s is cut short: it ends within its header. Make it again",
                     reader->path);
}

/* Takes the header over and proves that it is what was written. */
static int read_header(struct prompt_cache_reader *reader, struct error *error)
{
    const uint8_t *data = reader->map.data;
    size_t length = reader->map.length;
    int status = header_check_format(reader->path, data, length, error);
    if (status)
        return status;
    if (length < HEADER_FIXED_BYTES)
        return cut_short(reader, error);
    uint32_t n_caches = header_caches(data);
    if (n_caches > PROMPT_CACHE_MAX_CACHES)
        return damaged(reader, "its header names more layers than there can be", error);
    reader->header_bytes = header_bytes(n_caches);
    if (length < reader->header_bytes)
        return cut_short(reader, error);
    reader->header = malloc(reader->header_bytes);
    if (!reader->header)
        return error_memory(error, "the header of a prompt cache", reader->header_bytes);
    memcpy(reader->header, data, reader->header_bytes);
    size_t end = reader->header_bytes - HEADER_CHECKSUM_BYTES;
    uint64_t checksum;
    memcpy(&checksum, reader->header + end, sizeof checksum);
    if (checksum != XXH64(reader->header, end, 0) || header_caches(reader->header) != n_caches)
        return damaged(reader, "the checksum of its header is not right", error);
    return 0;
}

static int check_length(const struct prompt_cache_reader *reader, struct error *error)
{
    uint64_t announced = header_announced_bytes(reader->header);
    if (announced == reader->map.length)
        return 0;
    return error_set(error, ERROR_INVALID, "%s %s: it has %zu bytes, and %llu were written. Make it again",
                     reader->path, reader->map.length < announced ? "is cut short" : "is longer than it was",
                     reader->map.length, (unsigned long long)announced);
}

/* How many tokens and pages there are, now that a page is known to be the engine's own. */
static int check_counts(struct prompt_cache_reader *reader, const struct prompt_cache_identity *own,
                        uint32_t max_tokens, struct error *error)
{
    uint32_t n = header_tokens(reader->header);
    size_t bytes;
    if (n > max_tokens)
        return error_set(error, ERROR_LIMIT,
                         "%s holds %u tokens, more than the context of %u: --ctx %u makes room for them",
                         reader->path, n, max_tokens, n);
    if (!n || n % own->page_tokens || !header_file_bytes(own, n, &bytes) || bytes != reader->map.length)
        return damaged(reader, "its counts contradict its length", error);
    reader->n_tokens = n;
    reader->n_pages = n / own->page_tokens;
    reader->page_bytes = (size_t)own->page_bytes;
    reader->at = reader->header_bytes;
    return 0;
}

static int read_tokens(struct prompt_cache_reader *reader, uint32_t vocab, struct error *error)
{
    size_t bytes = reader->n_tokens * sizeof *reader->tokens;
    reader->tokens = malloc(bytes);
    if (!reader->tokens)
        return error_memory(error, "the tokens of a prompt cache", bytes);
    memcpy(reader->tokens, reader->map.data + reader->at, bytes);
    reader->at += bytes;
    XXH64_reset(&reader->hash, 0);
    XXH64_update(&reader->hash, reader->tokens, bytes);
    for (uint32_t i = 0; i < reader->n_tokens; i++)
        if (reader->tokens[i] < 0 || (uint32_t)reader->tokens[i] >= vocab)
            return damaged(reader, "not all of its tokens are the model's", error);
    return 0;
}

int prompt_cache_open(struct prompt_cache_reader *reader, const char *path,
                      const struct prompt_cache_identity *own, uint32_t max_tokens, struct error *error)
{
    *reader = (struct prompt_cache_reader){.path = path};
    int status = file_map_open(path, &reader->map, error);
    if (!status)
        status = read_header(reader, error);
    if (!status)
        status = check_length(reader, error);
    if (!status)
        status = header_compare(path, reader->header, own, error);
    if (!status)
        status = check_counts(reader, own, max_tokens, error);
    return status ? status : read_tokens(reader, own->vocab, error);
}

int prompt_cache_check_model(const struct prompt_cache_reader *reader,
                             const struct prompt_cache_identity *own, struct error *error)
{
    return header_compare_fingerprint(reader->path, reader->header, own, error);
}

void prompt_cache_read_page(struct prompt_cache_reader *reader, uint8_t *out)
{
    memcpy(out, reader->map.data + reader->at, reader->page_bytes);
    XXH64_update(&reader->hash, out, reader->page_bytes);
    reader->at += reader->page_bytes;
}

int prompt_cache_finish(const struct prompt_cache_reader *reader, struct error *error)
{
    uint64_t checksum;
    memcpy(&checksum, reader->map.data + reader->at, sizeof checksum);
    return checksum == XXH64_digest(&reader->hash) ? 0 : damaged(reader, "its checksum is not right", error);
}

void prompt_cache_close(struct prompt_cache_reader *reader)
{
    free(reader->tokens);
    free(reader->header);
    file_map_close(&reader->map);
    *reader = (struct prompt_cache_reader){0};
}
