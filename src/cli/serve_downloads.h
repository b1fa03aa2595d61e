/* The downloads of a server, judged by the profiler's estimate: service/ and profile/ do not know each other.
 */
#ifndef LLMIND_CLI_SERVE_DOWNLOADS_H
#define LLMIND_CLI_SERVE_DOWNLOADS_H

#include "base/error.h"
#include "service/services.h"

/* Sets services->downloads; it is closed with downloads_close. */
int serve_downloads_open(struct services *services, struct error *error);

#endif
