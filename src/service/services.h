/* What the entrances stand on: one bundle of everything a server's handlers may use. Opened once by
 * `llmind serve`, borrowed by everybody else; every member may be used from any thread. */
#ifndef LLMIND_SERVICE_SERVICES_H
#define LLMIND_SERVICE_SERVICES_H

struct model_host;  /* service/host.h: the model that is loaded */
struct live;        /* service/live.h: counters and histograms */
struct chats;       /* service/chats.h: saved conversations */
struct settings;    /* service/settings.h */
struct performance; /* service/performance.h: samples of the machine */

struct services {
    struct model_host *host;
    struct live *live;
    struct chats *chats; /* never NULL: without a database it says that nothing is saved */
    struct settings *settings;
    struct performance *performance;
};

#endif
