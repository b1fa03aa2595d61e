/* Where UTF-8 ends being UTF-8: one rule for everything that comes from files, prompts and models. */
#ifndef LLMIND_BASE_UTF8_H
#define LLMIND_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character that text begins with (RFC 3629: no overlong form, no surrogate, nothing
 * above U+10FFFF), 1 to 4; 0 when there is none or length is 0. A zero byte is a character. */
size_t utf8_character(const char *text, size_t length);

bool utf8_is_valid(const char *text, size_t length);

#endif
