/* One repository: what there is, what of it is needed, config.json first, the caller's judgement, then the
 * rest. What other programs see (links, the reference) is written at the end and config.json's link last of
 * the links, since that is what makes a folder a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/choose.h"
#include "hub/fetch.h"
#include "hub/names.h"
#include "hub/record.h"
#include "platform/file.h"

static const uint64_t SPARE_BYTES = (uint64_t)64 << 20; /* of the disk, left to others */
static const char INDEX_NAME[] = "model.safetensors.index.json";

struct pull {
    struct hub_client client;
    struct hub_cache cache;
    struct hub_listing listing;
    struct hub_choice choice;
    char **shards;
    size_t n_shards;
    const char *repository, *revision;
};

static int list(struct pull *pull, struct error *error)
{
    struct buffer address = {0}, text = {0};
    buffer_format(&address, "%s/api/models/%s/revision/", pull->client.settings->endpoint, pull->repository);
    hub_append_encoded(&address, pull->revision, false);
    buffer_text(&address, "?blobs=true");
    int status = address.failed
                     ? error_memory(error, "an address", 0)
                     : hub_client_get(&pull->client, address.data, HUB_MAX_LISTING_BYTES, &text, error);
    if (!status)
        status = hub_listing_parse(text.data ? text.data : "", text.length, &pull->listing, error);
    buffer_free(&address);
    buffer_free(&text);
    return status;
}

static int blob_path(const struct pull *pull, const struct hub_file *file, char *out, size_t capacity,
                     struct error *error)
{
    int n = snprintf(out, capacity, "%s/blobs/%s", pull->cache.path, file->hash);
    return n < 0 || (size_t)n >= capacity ? error_set(error, ERROR_LIMIT, "the path of the cache is too long")
                                          : 0;
}

/* A file of the listing that decides what else is fetched; its bounds are those of hub_choose. */
static int fetch_early(struct pull *pull, const struct hub_file *file, struct error *error)
{
    if (file->bytes > hub_role_max_bytes(hub_role_of(file->name)))
        return error_set(error, ERROR_LIMIT, "%s is too large for what it is", file->name);
    pull->client.progress.file = file->name;
    pull->client.base_bytes = 0;
    return hub_fetch(&pull->client, &pull->cache, pull->listing.commit, file, error);
}

static int read_index(struct pull *pull, const struct hub_file *index, struct error *error)
{
    char path[PATH_MAX], *text;
    size_t length;
    int status = fetch_early(pull, index, error);
    if (!status)
        status = blob_path(pull, index, path, sizeof path, error);
    if (!status)
        status = file_read(path, (size_t)hub_role_max_bytes(HUB_ROLE_INDEX), &text, &length, error);
    if (status)
        return status;
    status = hub_index_parse(text, length, &pull->shards, &pull->n_shards, error);
    free(text);
    return status;
}

/* The choice, twice: by names alone before anything is fetched or made, then with what the index says. */
static int choose(struct pull *pull, struct error *error)
{
    const struct hub_settings *settings = pull->client.settings;
    bool any = pull->client.options->any_model;
    const struct hub_file *index = hub_listing_find(&pull->listing, INDEX_NAME);
    const struct hub_file *config = hub_listing_find(&pull->listing, "config.json");
    if (!index || !config) {
        int status = hub_choose(&pull->listing, NULL, 0, any, &pull->choice, error);
        if (status)
            return status;
    }
    int status = hub_cache_open(settings, pull->repository, true, &pull->cache, error);
    if (!status && config)
        status = fetch_early(pull, config, error);
    if (!status && index) {
        status = read_index(pull, index, error);
        if (!status)
            status = hub_choose(&pull->listing, pull->shards, pull->n_shards, any, &pull->choice, error);
    }
    return status;
}

/* What is there of a file, in bytes. */
static uint64_t there(const struct pull *pull, const struct hub_file *file)
{
    char record[HUB_MAX_ENTRY];
    if (file->present)
        return file->bytes;
    hub_cache_record_name(file->hash, record);
    return hub_record_peek(pull->cache.blobs, record, file->bytes);
}

static int judge(struct pull *pull, struct hub_plan *plan, struct error *error)
{
    char config[PATH_MAX];
    const struct hub_pull_options *options = pull->client.options;
    struct hub_choice *choice = &pull->choice;
    *plan = (struct hub_plan){.repository = pull->repository,
                              .revision = pull->revision,
                              .commit = pull->listing.commit,
                              .files = choice->files,
                              .n_files = choice->n_files,
                              .total_bytes = choice->total_bytes,
                              .free_bytes = hub_cache_free_bytes(&pull->cache),
                              .config_path = config};
    for (size_t i = 0; i < choice->n_files; i++) {
        choice->files[i].present = hub_cache_has(&pull->cache, &choice->files[i]);
        plan->missing_bytes += choice->files[i].bytes - there(pull, &choice->files[i]);
    }
    int status =
        blob_path(pull, hub_listing_find(&pull->listing, "config.json"), config, sizeof config, error);
    if (!status && options->before)
        status = options->before(options->context, plan, error);
    plan->config_path = NULL;
    if (status)
        return status;
    if (plan->missing_bytes > 0 && plan->free_bytes != HUB_UNKNOWN &&
        plan->free_bytes < plan->missing_bytes + SPARE_BYTES)
        return error_set(
            error, ERROR_LIMIT,
            "%.2f GB are to be fetched and %.2f GB are free on the disk of %s: make room ('llmind rm "
            "MODEL' deletes one), or set HF_HUB_CACHE to a folder on another disk",
            (double)plan->missing_bytes * 1e-9, (double)plan->free_bytes * 1e-9,
            pull->client.settings->cache);
    return 0;
}

static int fetch_all(struct pull *pull, const struct hub_plan *plan, struct error *error)
{
    struct hub_progress *progress = &pull->client.progress;
    uint64_t done = plan->total_bytes - plan->missing_bytes;
    progress->n_files = plan->n_files;
    progress->total_bytes = plan->total_bytes;
    for (size_t i = 0; i < plan->n_files; i++) {
        const struct hub_file *file = &plan->files[i];
        uint64_t had = there(pull, file);
        progress->file = file->name;
        progress->file_index = i;
        pull->client.base_bytes = done > had ? done - had : 0;
        progress->done_bytes = pull->client.base_bytes + had;
        int status = hub_fetch(&pull->client, &pull->cache, plan->commit, file, error);
        if (status)
            return status;
        done = progress->done_bytes;
    }
    return 0;
}

static int show(struct pull *pull, struct error *error)
{
    int status = 0;
    for (size_t i = pull->choice.n_files; !status && i-- > 0;) /* config.json is the first */
        status = hub_cache_link(&pull->cache, pull->listing.commit, &pull->choice.files[i], error);
    if (!status)
        status = hub_cache_set_reference(&pull->cache, pull->revision, pull->listing.commit, error);
    return status;
}

static int fill_result(const struct pull *pull, const char *commit, struct hub_result *out,
                       struct error *error)
{
    snprintf(out->commit, sizeof out->commit, "%s", commit);
    int n = snprintf(out->path, sizeof out->path, "%s/snapshots/%s", pull->cache.path, commit);
    out->n_files = pull->choice.n_files;
    out->total_bytes = pull->choice.total_bytes;
    out->fetched_bytes = pull->client.fetched_bytes;
    return n < 0 || (size_t)n >= sizeof out->path ? error_set(error, ERROR_LIMIT, "the path is too long") : 0;
}

static int look(struct pull *pull, struct hub_result *out, struct error *error)
{
    char commit[HUB_COMMIT + 1];
    int status = hub_cache_open(pull->client.settings, pull->repository, false, &pull->cache, NULL);
    if (!status && hub_cache_find_commit(&pull->cache, pull->revision, commit))
        return fill_result(pull, commit, out, error);
    return error_set(error, ERROR_UNSUPPORTED,
                     "HF_HUB_OFFLINE is set, so nothing is fetched, and %s@%s is not in the cache (%s)",
                     pull->repository, pull->revision, pull->client.settings->cache);
}

static int run(struct pull *pull, struct hub_result *out, struct error *error)
{
    struct hub_plan plan;
    if (!hub_client_report(&pull->client, HUB_LISTING, true))
        return hub_client_stopped(error);
    int status = list(pull, error);
    if (!status)
        status = choose(pull, error);
    if (!status)
        status = judge(pull, &plan, error);
    if (!status)
        status = fetch_all(pull, &plan, error);
    if (!status)
        status = show(pull, error);
    if (!status)
        status = fill_result(pull, pull->listing.commit, out, error);
    if (!status)
        hub_client_report(&pull->client, HUB_COMPLETE, true);
    return status;
}

int hub_pull(const struct hub_settings *settings, const struct hub_pull_options *options,
             struct hub_result *out, struct error *error)
{
    struct pull pull = {.cache = {.repository = -1, .blobs = -1, .locks = -1},
                        .repository = options->repository,
                        .revision = options->revision ? options->revision : "main"};
    *out = (struct hub_result){.n_files = 0};
    int status = hub_check_repository(pull.repository, error);
    if (!status)
        status = hub_check_revision(pull.revision, error);
    if (status)
        return status;
    status = hub_client_open(settings, options, &pull.client, error);
    if (!status)
        status = settings->offline ? look(&pull, out, error) : run(&pull, out, error);
    hub_client_close(&pull.client);
    hub_cache_close(&pull.cache);
    hub_choice_free(&pull.choice);
    hub_listing_free(&pull.listing);
    for (size_t i = 0; i < pull.n_shards; i++)
        free(pull.shards[i]);
    free(pull.shards);
    return status;
}
