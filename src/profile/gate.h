/* How a run keeps out of the way of a server that shares the machine, and it out of the run's: the server
 * gives these functions, a run that has the machine to itself gets NULL.
 *
 * While a repeat is timed the gate is closed: new requests wait (and are told so), and are let in between
 * repeats. A repeat that overlapped with served work all the same is done again.
 */
#ifndef LLMIND_PROFILE_GATE_H
#define LLMIND_PROFILE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { GATE_WAIT_MS = 30000 }; /* for what is being served when the gate is to close */

struct gate {
    /* Waits until nothing is being served (at most wait_ms; then it closes all the same), and closes.
     * ERROR_CANCELLED when *cancel is set meanwhile. */
    int (*close)(void *context, uint32_t wait_ms, const atomic_int *cancel, struct error *error);
    /* Opens again. true: something was served since `close`. */
    bool (*open)(void *context);
    /* Sees to it that a model of `bytes` fits beside what is loaded; unload_current allows to unload it.
     * Errors: ERROR_LIMIT with figures. */
    int (*make_room)(void *context, uint64_t bytes, bool unload_current, struct error *error);
    /* Loads again what make_room unloaded, if it did. */
    void (*restore)(void *context);
    void *context;
};

#endif
