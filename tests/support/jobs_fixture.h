/* Jobs of a data folder of its own, with a run function that measures nothing: for the tests of
 * profile/jobs.h. */
#ifndef LLMIND_TESTS_JOBS_FIXTURE_H
#define LLMIND_TESTS_JOBS_FIXTURE_H

#include "profile/jobs_internal.h"
#include "support/fake_run.h"
#include "support/folder.h"

static char folder[64];
static struct store *store; /* NULL: nothing is saved */
static struct jobs *jobs;
static jobs_run *fixture_run = fake_run; /* a test file may have one of its own: set it in main */

/* There is every model but "nowhere". */
static inline void fixture_resolve(void *context, struct profile_request *request, struct arena *arena)
{
    (void)context;
    for (size_t i = 0; i < request->n_models; i++)
        if (strcmp(request->models[i].name, "nowhere") == 0)
            request->models[i].problem = arena_strdup(arena, "there is no model nowhere");
        else
            request->models[i].path = "/nonexistent";
}

static inline int open_jobs(void)
{
    struct jobs_options options = {.store = store, .data_folder = folder, .resolve = fixture_resolve};
    return jobs_open_with(&options, fixture_run, &jobs, NULL);
}

static inline int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    return store_open(folder, &store, NULL) || open_jobs();
}

static inline int set_up_without(void **state)
{
    (void)state;
    folder_make(folder);
    return open_jobs();
}

static inline int tear_down(void **state)
{
    (void)state;
    jobs_close(jobs);
    store_close(store);
    jobs = NULL;
    store = NULL;
    folder_remove(folder);
    return 0;
}

/* The row of a run that is there; a new reference. */
static inline json_t *get(const char *id)
{
    json_t *row;
    assert_int_equal(jobs_get(jobs, id, &row, NULL), 0);
    return row;
}

#endif
