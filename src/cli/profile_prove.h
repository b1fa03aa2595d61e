/* `llmind profile --prove`: a recommendation of a stored run is tried. */
#ifndef LLMIND_CLI_PROFILE_PROVE_H
#define LLMIND_CLI_PROFILE_PROVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "cli/report_file.h"

struct prove_wish {
    const char *recommendation;
    const char *run;     /* its id, or the beginning of it; NULL: the newest that can be proved */
    const char *model;   /* NULL: any */
    const char *adapter; /* the folder of the one that the run had; NULL: none */
    uint32_t blocks;     /* 0: as many as prove.h chooses */
    bool json, wait;
    const struct report_outputs *outputs;
};
/* Runs the proof as a job, prints what it found, and how to use what was kept. 0 whatever the verdict.
 * cli_catch_interrupts must have been called. */
int profile_prove(const struct prove_wish *wish, struct error *error);

#endif
