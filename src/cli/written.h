/* How far a model that is being written is, for synth and convert: a line on a terminal's standard error,
 * and Ctrl-C as the wish to stop. */
#ifndef LLMIND_CLI_WRITTEN_H
#define LLMIND_CLI_WRITTEN_H

#include <stdbool.h>
#include <stdint.h>

struct written {
    uint64_t start_ns, shown_ns;
    bool shown;
};

/* Starts the clock and catches interrupts. */
void written_begin(struct written *written);
/* A progress callback; context is the struct written. false: the user wants to stop. */
bool written_progress(void *context, uint64_t done_bytes, uint64_t total_bytes);
/* Takes the line away; the seconds since the beginning. */
double written_end(const struct written *written);

#endif
