/* Each step looks at all that is held and decides as much of it as can be decided; `held` never grows beyond
 * a tag and the white space before it, so looking again is cheap.
 */
#include "service/reasoning.h"

#include <string.h>

static const char opening[] = "<think>";
static const char closing[] = "</think>";

void reasoning_init(struct reasoning *reasoning, bool inside)
{
    *reasoning = (struct reasoning){.state = inside ? REASONING_INSIDE : REASONING_BEFORE};
}

void reasoning_free(struct reasoning *reasoning)
{
    buffer_free(&reasoning->held);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t leading_space(const struct buffer *held)
{
    size_t n = 0;
    while (n < held->length && is_space(held->data[n]))
        n++;
    return n;
}

/* The tag stands at `at`: 1; it may still: 0; it does not: -1. */
static int match(const struct buffer *held, size_t at, const char *tag)
{
    size_t n = strlen(tag);
    size_t left = held->length - at;
    if (memcmp(held->data + at, tag, left < n ? left : n) != 0)
        return -1;
    return left >= n;
}

/* Hands out the first n bytes that are held. */
static void emit(struct reasoning *reasoning, size_t n, bool thinking, reasoning_sink sink, void *context)
{
    if (n)
        sink(context, thinking, reasoning->held.data, n);
    buffer_drop(&reasoning->held, n);
}

/* Each of the steps returns true when the state changed and the rest is to be looked at again. */

static bool step_before(struct reasoning *reasoning)
{
    size_t space = leading_space(&reasoning->held);
    if (space == reasoning->held.length)
        return false;
    int found = match(&reasoning->held, space, opening);
    if (found == 0)
        return false;
    if (found > 0)
        buffer_drop(&reasoning->held, space + sizeof opening - 1);
    reasoning->state = found > 0 ? REASONING_INSIDE : REASONING_CONTENT;
    return true;
}

static bool step_inside(struct reasoning *reasoning, reasoning_sink sink, void *context)
{
    struct buffer *held = &reasoning->held;
    if (!reasoning->began) {
        size_t space = leading_space(held);
        /* a model may write the tag once more that its prompt ended with */
        int again = space < held->length ? match(held, space, opening) : 0;
        if (again == 0)
            return false;
        buffer_drop(held, again > 0 ? space + sizeof opening - 1 : space);
        reasoning->began = true;
        return true;
    }
    size_t sure = 0; /* before: thinking for certain */
    for (size_t i = 0; i < held->length;) {
        if (is_space(held->data[i])) {
            i++;
            continue;
        }
        int found = held->data[i] == '<' ? match(held, i, closing) : -1;
        if (found == 0)
            break;
        if (found > 0) {
            emit(reasoning, sure, true, sink, context);
            buffer_drop(held, i - sure + sizeof closing - 1);
            reasoning->state = REASONING_AFTER;
            return true;
        }
        sure = ++i;
    }
    emit(reasoning, sure, true, sink, context);
    return false;
}

static bool step_after(struct reasoning *reasoning)
{
    buffer_drop(&reasoning->held, leading_space(&reasoning->held));
    if (!reasoning->held.length)
        return false;
    reasoning->state = REASONING_CONTENT;
    return true;
}

void reasoning_feed(struct reasoning *reasoning, const char *text, size_t length, reasoning_sink sink,
                    void *context)
{
    if (reasoning->state == REASONING_CONTENT) { /* the common case: nothing is held, nothing is copied */
        if (length)
            sink(context, false, text, length);
        return;
    }
    buffer_append(&reasoning->held, text, length);
    for (bool again = reasoning->held.length > 0; again;) {
        switch (reasoning->state) {
        case REASONING_BEFORE:
            again = step_before(reasoning);
            break;
        case REASONING_INSIDE:
            again = step_inside(reasoning, sink, context);
            break;
        case REASONING_AFTER:
            again = step_after(reasoning);
            break;
        default:
            emit(reasoning, reasoning->held.length, false, sink, context);
            again = false;
        }
    }
}

void reasoning_finish(struct reasoning *reasoning, reasoning_sink sink, void *context)
{
    if (reasoning->state != REASONING_AFTER)
        emit(reasoning, reasoning->held.length, reasoning->state == REASONING_INSIDE, sink, context);
    buffer_clear(&reasoning->held);
}
