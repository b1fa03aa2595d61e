/* The profiler of a server: runs as jobs over its database, parked for by its model host. */
#ifndef LLMIND_CLI_SERVE_PROFILE_H
#define LLMIND_CLI_SERVE_PROFILE_H

#include "base/error.h"
#include "profile/gate.h"
#include "service/services.h"

struct store;

struct serve_profile {
    struct gate gate;
};

/* Sets services->jobs. services->host and downloads must be open; store and folder are NULL where there is no
 * database, why says why then. `out` must outlive the jobs. */
int serve_profile_open(struct serve_profile *out, struct services *services, struct store *store,
                       const char *folder, const char *why, struct error *error);
/* Cancels what runs and what waits to, without waiting for it: handlers that wait for a run come to an end.
 */
void serve_profile_stop(struct services *services);
/* Waits until it is stored. After the HTTP server, before the host. */
void serve_profile_close(struct services *services);

#endif
