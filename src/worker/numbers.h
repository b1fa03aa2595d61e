/* Requests and calls by their numbers: a hash table of chains through the members themselves, so that nothing
 * is allocated. Zero-initialise; whoever embeds it says which lock guards it.
 */
#ifndef LLMIND_WORKER_NUMBERS_H
#define LLMIND_WORKER_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* The first member of what is listed. */
struct numbered {
    uint32_t number;
    struct numbered *next;
};

enum { NUMBERS_CHAINS = 256 };
struct numbers {
    struct numbered *chains[NUMBERS_CHAINS];
    size_t count;
};

void numbers_add(struct numbers *numbers, struct numbered *member); /* its number is not there yet */
struct numbered *numbers_find(const struct numbers *numbers, uint32_t number);
/* Takes it out: NULL when there is none. */
struct numbered *numbers_take(struct numbers *numbers, uint32_t number);
/* Takes any one out; NULL when it is empty. */
struct numbered *numbers_take_any(struct numbers *numbers);

#endif
