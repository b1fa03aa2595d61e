/* What the entrances stand on: one bundle of everything a server's handlers may use. Opened once by
 * `llmind serve`, borrowed by everybody else; every member may be used from any thread. */
#ifndef LLMIND_SERVICE_SERVICES_H
#define LLMIND_SERVICE_SERVICES_H

#include <stdbool.h>

struct model_host;  /* service/host.h: the model that is loaded */
struct live;        /* service/live.h: counters and histograms */
struct chats;       /* service/chats.h: saved conversations */
struct settings;    /* service/settings.h */
struct performance; /* service/performance.h: samples of the machine */
struct downloads;   /* service/downloads.h: models on their way from the hub */
struct jobs;        /* profile/jobs.h: profiling runs; nothing in service/ looks into it */

struct services {
    struct model_host *host;
    struct live *live;
    struct chats *chats; /* never NULL: without a database it says that nothing is saved */
    struct settings *settings;
    struct performance *performance;
    struct jobs *jobs;
    struct downloads *downloads;
    const char *data_folder;        /* absolute: the database and the run's lock; NULL: nothing is saved */
    const char *data_folder_reason; /* with NULL */
    bool allow_remote_targets;      /* profiling requests may name another server */
    bool allow_local_targets;       /* and that may be this machine, or in a private network */
};

#endif
