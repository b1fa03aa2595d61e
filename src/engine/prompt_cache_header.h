/* The header of a prompt cache file (prompt_cache_file.h has the format): made, checked, compared. Between
 * prompt_cache_header.c and prompt_cache_file.c only.
 */
#ifndef LLMIND_ENGINE_PROMPT_CACHE_HEADER_H
#define LLMIND_ENGINE_PROMPT_CACHE_HEADER_H

#include "engine/prompt_cache_file.h"

/* Bytes from the beginning to the checksum; a header ends behind the caches and that checksum. */
enum { HEADER_FIXED_BYTES = 440, HEADER_CACHE_BYTES = 24, HEADER_CHECKSUM_BYTES = 8 };

/* Of a header with so many caches, at most PROMPT_CACHE_MAX_CACHES. */
size_t header_bytes(uint32_t n_caches);
/* Of a whole file; false: no file can be so large. */
bool header_file_bytes(const struct prompt_cache_identity *identity, uint32_t n_tokens, size_t *bytes);

/* Fills out[0 .. header_bytes). */
void header_make(const struct prompt_cache_identity *identity, uint32_t n_tokens, uint64_t file_bytes,
                 uint8_t *out);

/* The caches that a beginning of HEADER_FIXED_BYTES announces. */
uint32_t header_caches(const uint8_t *fixed);
/* Of a whole header whose checksum is right: */
uint64_t header_announced_bytes(const uint8_t *header);
uint32_t header_tokens(const uint8_t *header);
/* Whether the first bytes of a file are a header's of this format. ERROR_INVALID, ERROR_UNSUPPORTED. */
int header_check_format(const uint8_t *data, size_t length, struct error *error);
/* Whether pages of this header's making are pages of `own`'s, the fingerprint left out; and the fingerprint
 * alone. ERROR_INVALID. */
int header_compare(const uint8_t *header, const struct prompt_cache_identity *own, struct error *error);
int header_compare_fingerprint(const uint8_t *header, const struct prompt_cache_identity *own,
                               struct error *error);

#endif
