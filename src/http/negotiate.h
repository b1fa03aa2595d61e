/* What a client says about the form of an answer it can use (RFC 9110, 12.5 and 13.1). Pure: no allocation,
 * no lock. Whatever cannot be read in a header is passed over, never refused: these headers are wishes.
 */
#ifndef LLMIND_HTTP_NEGOTIATE_H
#define LLMIND_HTTP_NEGOTIATE_H

#include <stdbool.h>

/* In the order in which they are taken when the client does not care. */
enum http_coding { CODING_BROTLI, CODING_GZIP, CODING_IDENTITY, CODINGS };

/* The coding that suits the client best. accept_encoding: the header, NULL when there is none (then nothing
 * but identity is known to be understood). available[CODING_IDENTITY] is always taken for true. CODINGS: the
 * client refuses everything there is. */
enum http_coding negotiate_coding(const char *accept_encoding, const bool available[CODINGS]);

/* Whether If-None-Match names this entity tag (with its quotes): then the client has it already. Compared
 * weakly, as that header wants it. if_none_match may be NULL. */
bool negotiate_has_tag(const char *if_none_match, const char *tag);

/* Whether something that shows pages asks: a browser names HTML, curl takes anything, and a client of the API
 * wants JSON and nothing else. accept may be NULL. */
bool negotiate_takes_html(const char *accept);

#endif
