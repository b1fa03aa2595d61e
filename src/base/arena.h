/* Memory that is freed all at once: for a model, a request, a report.
 *
 * Not thread-safe: each arena has one owner. Blocks come zeroed and aligned to 64 bytes. An arena never moves
 * what it gave out.
 */
#ifndef LLMIND_BASE_ARENA_H
#define LLMIND_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *last;
    size_t used_bytes; /* handed out, for memory reports */
};

void arena_init(struct arena *arena);
void arena_free(struct arena *arena);

/* count * size zeroed bytes, or NULL when memory is short or the product overflows. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* A copy of a string, or NULL. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
