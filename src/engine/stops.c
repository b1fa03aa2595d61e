/* A plain search. The text under it is a held-back start (less than one stop string) and one piece, so there
 * is nothing for a cleverer automaton to win. */
#include "engine/stops.h"

#include <string.h>

#include "base/utf8.h"

static int add_stop(struct stops *stops, const char *text, uint32_t index, struct arena *arena,
                    struct error *error)
{
    size_t length = text ? strnlen(text, ENGINE_MAX_STOP_BYTES + 1) : 0;
    if (!length)
        return error_set(error, ERROR_INVALID, "stops[%u] is empty", index);
    if (length > ENGINE_MAX_STOP_BYTES)
        return error_set(error, ERROR_INVALID, "stops[%u] is longer than %d bytes", index,
                         ENGINE_MAX_STOP_BYTES);
    if (!utf8_is_valid(text, length))
        return error_set(error, ERROR_INVALID, "stops[%u] is not valid UTF-8", index);
    char *copy = arena_alloc(arena, length + 1, 1);
    if (!copy)
        return error_memory(error, "a stop string", length);
    memcpy(copy, text, length);
    stops->stop[stops->n_stops].text = copy;
    stops->stop[stops->n_stops++].length = length;
    return 0;
}

int stops_init(struct stops *stops, const char *const *strings, uint32_t n_strings, size_t max_piece,
               struct arena *arena, struct error *error)
{
    *stops = (struct stops){0};
    if (n_strings > ENGINE_MAX_STOPS)
        return error_set(error, ERROR_INVALID, "stops: %u strings, and at most %d are possible", n_strings,
                         ENGINE_MAX_STOPS);
    for (uint32_t i = 0; i < n_strings; i++) {
        int status = add_stop(stops, strings[i], i, arena, error);
        if (status)
            return status;
    }
    stops->capacity = stops_max_held(stops) + max_piece;
    stops->text = arena_alloc(arena, stops->capacity, 1);
    return stops->text ? 0 : error_memory(error, "the text of a request", stops->capacity);
}

size_t stops_max_held(const struct stops *stops)
{
    size_t longest = 0;
    for (uint32_t s = 0; s < stops->n_stops; s++)
        if (stops->stop[s].length > longest)
            longest = stops->stop[s].length;
    return longest ? longest - 1 : 0;
}

char *stops_tail(struct stops *stops)
{
    return stops->text + stops->length;
}

bool stops_push(struct stops *stops, size_t length, size_t *ready)
{
    stops->length += length;
    size_t best_end = SIZE_MAX, first_partial = stops->length;
    *ready = stops->length;
    /* Starts ascend, so of equal ends the first one seen is the longest. */
    for (size_t start = 0; start < stops->length; start++) {
        size_t left = stops->length - start;
        for (uint32_t s = 0; s < stops->n_stops; s++) {
            size_t n = stops->stop[s].length;
            if (memcmp(stops->text + start, stops->stop[s].text, n < left ? n : left) != 0)
                continue;
            if (n <= left && start + n < best_end) {
                best_end = start + n;
                *ready = start;
            } else if (n > left && start < first_partial) {
                first_partial = start;
            }
        }
    }
    if (best_end != SIZE_MAX)
        return true;
    *ready = first_partial;
    return false;
}

void stops_consume(struct stops *stops, size_t length)
{
    stops->length -= length;
    memmove(stops->text, stops->text + length, stops->length);
}
