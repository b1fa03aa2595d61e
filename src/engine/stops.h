/* Stop strings in a text that comes in pieces.
 *
 * Text that may be the start of a stop string is held back until it is known to be one or not. The text ends
 * where the first stop string to be *completed* begins (of two completed by the same byte, the longer): the
 * result depends on the text only, never on how it was cut into pieces. Stop strings are whole UTF-8
 * characters and so are the pieces, therefore everything let out is too.
 *
 * Buffers come from the request's arena. Touched by the engine's thread only, after submit.
 */
#ifndef LLMIND_ENGINE_STOPS_H
#define LLMIND_ENGINE_STOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/engine.h"

struct stops {
    struct {
        const char *text;
        size_t length;
    } stop[ENGINE_MAX_STOPS];
    uint32_t n_stops;
    char *text; /* held back, then the newest piece */
    size_t length, capacity;
};

/* strings: each 1 .. ENGINE_MAX_STOP_BYTES bytes of valid UTF-8, copied; n_strings <= ENGINE_MAX_STOPS.
 * max_piece: bytes one piece may have. Errors: ERROR_INVALID naming the string, ERROR_MEMORY. */
int stops_init(struct stops *stops, const char *const *strings, uint32_t n_strings, size_t max_piece,
               struct arena *arena, struct error *error);

/* Where the next piece may be written: room for max_piece bytes. */
char *stops_tail(struct stops *stops);
/* length bytes were written there. Sets *ready to the bytes of stops->text that may be let out, and returns
 * true when a stop string was found right behind them. */
bool stops_push(struct stops *stops, size_t length, size_t *ready);
/* Drops the first `length` bytes: they are out. */
void stops_consume(struct stops *stops, size_t length);

/* Bytes that can be held back at most. */
size_t stops_max_held(const struct stops *stops);

#endif
