/* Between the performance*.c files only. */
#ifndef LLMIND_SERVICE_PERFORMANCE_INTERNAL_H
#define LLMIND_SERVICE_PERFORMANCE_INTERNAL_H

#include <pthread.h>

#include "platform/sensors.h"
#include "service/performance.h"

struct performance {
    struct model_host *host;
    struct live *live;
    uint64_t start_ns;
    pthread_mutex_t lock; /* over everything below; held while sensors are read */
    struct sensors_cpu *cpu;
    struct sensors_gpus *gpus;
    uint64_t sampled_ns; /* 0: never */
    uint64_t sequence;
    struct buffer text; /* the last sample */
};

/* The pieces of a sample that are not the sensors' own (performance_json.c). */
void performance_put_memory(struct figures *figures, json_t *root, const struct host_state *state);
void performance_put_cpu(struct figures *figures, json_t *root, const struct sensors_cpu_reading *reading);
void performance_put_gpus(struct figures *figures, json_t *root, struct sensors_gpus *gpus);

#endif
