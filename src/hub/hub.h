/* Models from a Hugging Face hub into the cache that huggingface_hub and other tools share, and out of it
 * again.
 *
 *     <cache>/models--ORG--NAME/blobs/HASH            a file, named by what it holds
 *     <cache>/models--ORG--NAME/snapshots/COMMIT/F    a link to ../../blobs/HASH
 *     <cache>/models--ORG--NAME/refs/main             the commit that "main" was, written last
 *     <cache>/.locks/models--ORG--NAME/HASH.lock      held (flock) by whoever fetches that file
 *
 * A file gets its name under blobs/ only after its hash was checked, and a snapshot its links only when all
 * its files are there; until then bytes lie in blobs/HASH.llmind.incomplete with a record of which ones they
 * are (record.h), so that whatever ends the program, the next pull goes on there.
 *
 * The hub is not trusted: names, sizes, redirects and lengths of what it sends are checked, and what is
 * fetched is data, never code (choose.h). Knows nothing of models beyond the names of their files: whether a
 * model is worth fetching is the caller's judgement (hub_pull_options.before).
 *
 * Sources: the hub's API documentation (huggingface.co/docs/hub/api) and huggingface_hub 1.x for the cache.
 */
#ifndef LLMIND_HUB_HUB_H
#define LLMIND_HUB_HUB_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { HUB_MAX_HASH = 64, HUB_COMMIT = 40, HUB_MAX_REPOSITORY = 200, HUB_MAX_REVISION = 127 };

/* Where the hub is, who we are, where files go. */
struct hub_settings {
    char *endpoint; /* "https://huggingface.co": scheme, host, perhaps port and path; no slash at the end */
    char *token;    /* NULL: none. Goes to the endpoint's own host alone; never logged */
    char *cache;    /* folder */
    bool offline;   /* ask nobody */
};

/* From the environment as huggingface_hub reads it: HF_ENDPOINT; HF_TOKEN, else the file $HF_TOKEN_PATH or
 * $HF_HOME/token; HF_HUB_CACHE, HF_HOME (platform/places.h); HF_HUB_OFFLINE. Free it also after an error.
 * Errors: ERROR_INVALID (which variable is wrong), ERROR_NOT_FOUND (no HOME), ERROR_MEMORY. */
int hub_settings_read(struct hub_settings *settings, struct error *error);
void hub_settings_free(struct hub_settings *settings);

/* "ORG/NAME" or "NAME" as the hub has them: letters, digits, '-', '_', '.'; parts of at most 96 characters.
 * ERROR_INVALID says which rule. */
int hub_check_repository(const char *id, struct error *error);
/* A branch, tag or commit: as above with slashes between parts, none of which begins with a dot. */
int hub_check_revision(const char *revision, struct error *error);

struct hub_file {
    char *name; /* as in the repository; a chosen one is a plain name without slashes */
    uint64_t bytes;
    char hash[HUB_MAX_HASH + 1]; /* SHA-256 of the content (64 digits), or its git blob SHA-1 (40) */
    bool present;                /* in the cache already */
};

/* What is about to be fetched. Borrowed, for the call. */
struct hub_plan {
    const char *repository, *revision, *commit;
    const struct hub_file *files;
    size_t n_files;
    uint64_t total_bytes;    /* of all files */
    uint64_t missing_bytes;  /* of what is not in the cache yet, parts of files counted */
    uint64_t free_bytes;     /* on the cache's disk */
    const char *config_path; /* config.json, fetched and verified, under another name */
};

enum hub_phase {
    HUB_LISTING, /* asking what there is */
    HUB_WAITING, /* another process fetches this file */
    HUB_FETCHING,
    HUB_PAUSING,   /* the hub asked to wait, or did not answer: trying again soon */
    HUB_VERIFYING, /* computing a file's hash */
    HUB_COMPLETE
};

struct hub_progress {
    enum hub_phase phase;
    const char *file; /* NULL while listing */
    size_t file_index, n_files;
    uint64_t done_bytes;     /* of the plan's total_bytes, what was there before included */
    uint64_t total_bytes;    /* 0: not known yet */
    double bytes_per_second; /* of the last seconds; NaN: not known yet */
    double eta_s;            /* NaN: not known */
};

struct hub_pull_options {
    const char *repository;
    const char *revision; /* NULL: "main" */
    bool any_model;       /* also without what this program needs (tokenizer.json) */
    unsigned retries;     /* failures in a row without a byte in between before giving up; 0: 8 */

    /* Called once, when config.json is there and before anything large is fetched; may be NULL. Not 0:
     * hub_pull ends with that error. */
    int (*before)(void *context, const struct hub_plan *plan, struct error *error);
    /* Called about ten times a second while anything is waited for; may be NULL. false: stop now, keep what
     * is there (pause and cancel are the same; a later hub_pull goes on). */
    bool (*progress)(void *context, const struct hub_progress *progress);
    void *context;
};

struct hub_result {
    char commit[HUB_COMMIT + 1];
    char path[PATH_MAX]; /* the snapshot's folder */
    size_t n_files;
    uint64_t total_bytes;   /* of the files */
    uint64_t fetched_bytes; /* of them, what came over the network now, repetitions included */
};

/* Fetches what a model needs of a repository, in the caller's thread, over at most four connections; blocks.
 * Any number of threads and processes at once: those that want the same file wait for whoever fetches it.
 * When settings->offline, only looks whether the revision is there already.
 *
 * Errors: ERROR_INVALID (an id; a hub that contradicts itself or sends what was not asked for; a hash that is
 * wrong twice), ERROR_NOT_FOUND (no such repository or revision, or no permission: the message says where to
 * ask for it), ERROR_UNSUPPORTED (no safetensors in it; offline), ERROR_LIMIT (too large for the disk or for
 * this program's bounds), ERROR_IO (network and disk), ERROR_CANCELLED (progress said so), ERROR_MEMORY, and
 * whatever `before` returns. After each of them the cache is as valid as before. */
int hub_pull(const struct hub_settings *settings, const struct hub_pull_options *options,
             struct hub_result *out, struct error *error);

/* What deleting would free. */
struct hub_removal {
    char repository[HUB_MAX_REPOSITORY + 1];
    char commit[HUB_COMMIT + 1]; /* "": the whole repository */
    char path[PATH_MAX];         /* of the repository's folder */
    uint64_t bytes;              /* of the disk */
    size_t n_snapshots;          /* that go */
    bool unfinished;             /* a download that never ended is among it */
};
/* id: "ORG/NAME", or with @REVISION one snapshot and the blobs that no other one uses. Errors: ERROR_INVALID,
 * ERROR_NOT_FOUND (not in this cache). */
int hub_removal_find(const struct hub_settings *settings, const char *id, struct hub_removal *out,
                     struct error *error);
/* Deletes it, never following a link and nothing outside of the repository's folder. Errors: ERROR_BUSY (it
 * is being downloaded), ERROR_IO. */
int hub_remove(const struct hub_settings *settings, const struct hub_removal *removal, struct error *error);

#endif
