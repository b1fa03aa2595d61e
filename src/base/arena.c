#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

enum { ALIGNMENT = 64, BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *previous;
    size_t size, used;
    /* the data follows, at the next multiple of ALIGNMENT */
};

static unsigned char *block_data(struct arena_block *block)
{
    uintptr_t start = (uintptr_t)(block + 1);
    return (unsigned char *)((start + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_free(struct arena *arena)
{
    for (struct arena_block *block = arena->last; block;) {
        struct arena_block *previous = block->previous;
        free(block);
        block = previous;
    }
    arena_init(arena);
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes, rounded, total;
    if (!checked_mul(count, size, &bytes) || !checked_add(bytes, ALIGNMENT - 1, &rounded))
        return NULL;
    rounded -= rounded % ALIGNMENT;
    if (!arena->last || arena->last->size - arena->last->used < rounded) {
        size_t capacity = rounded > BLOCK_BYTES ? rounded : (size_t)BLOCK_BYTES;
        if (!checked_add(capacity, sizeof(struct arena_block) + ALIGNMENT, &total))
            return NULL;
        struct arena_block *block = calloc(1, total);
        if (!block)
            return NULL;
        block->previous = arena->last;
        block->size = capacity;
        arena->last = block;
    }
    void *result = block_data(arena->last) + arena->last->used;
    arena->last->used += rounded;
    arena->used_bytes += rounded;
    return result;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(arena, size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1, 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}
