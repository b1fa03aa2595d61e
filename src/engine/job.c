/* Work between steps for a thread that waits: handed over, woken for, done. */
#include "engine/state.h"

int job_run(struct local_engine *engine, struct engine_job *job, struct error *error)
{
    pthread_mutex_lock(&engine->lock);
    bool closing = engine->stopping, busy = engine->n_live || engine->job;
    if (!closing && !busy) {
        engine->job = job;
        engine->wake_pending = true;
        pthread_cond_signal(&engine->wake);
        while (!job->done)
            pthread_cond_wait(&engine->job_done, &engine->lock);
        engine->job = NULL;
    }
    pthread_mutex_unlock(&engine->lock);
    if (closing)
        return error_set(error, ERROR_CANCELLED, "%s: the engine is closing", job->name);
    if (busy)
        return error_set(error, ERROR_BUSY, "%s: requests are running; try again when they are done",
                         job->name);
    if (job->status && error)
        *error = job->error;
    return job->status;
}

void job_finish(struct local_engine *engine, struct engine_job *job)
{
    pthread_mutex_lock(&engine->lock);
    job->done = true;
    pthread_cond_broadcast(&engine->job_done);
    pthread_mutex_unlock(&engine->lock);
}
