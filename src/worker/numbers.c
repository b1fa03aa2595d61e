/* Numbers are given one after the other, so their low bits spread them evenly. */
#include "worker/numbers.h"

static struct numbered **place(struct numbers *numbers, uint32_t number)
{
    struct numbered **at = &numbers->chains[number % NUMBERS_CHAINS];
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static struct numbered *unlink_at(struct numbers *numbers, struct numbered **at)
{
    struct numbered *member = *at;
    if (member) {
        *at = member->next;
        numbers->count--;
    }
    return member;
}

void numbers_add(struct numbers *numbers, struct numbered *member)
{
    struct numbered **chain = &numbers->chains[member->number % NUMBERS_CHAINS];
    member->next = *chain;
    *chain = member;
    numbers->count++;
}

struct numbered *numbers_find(const struct numbers *numbers, uint32_t number)
{
    struct numbered *member = numbers->chains[number % NUMBERS_CHAINS];
    while (member && member->number != number)
        member = member->next;
    return member;
}

struct numbered *numbers_take(struct numbers *numbers, uint32_t number)
{
    return unlink_at(numbers, place(numbers, number));
}

struct numbered *numbers_take_any(struct numbers *numbers)
{
    for (size_t i = 0; numbers->count && i < NUMBERS_CHAINS; i++)
        if (numbers->chains[i])
            return unlink_at(numbers, &numbers->chains[i]);
    return NULL;
}
