#include "hub/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/digest.h"
#include "hub/fetch_internal.h"
#include "hub/names.h"

enum { LOOK_EVERY_MS = 200 };

/* The part has the file's full size from the beginning, with holes; one of another size is not ours. */
static int open_part(struct fetch *fetch, struct error *error)
{
    char name[HUB_MAX_ENTRY];
    struct stat status;
    hub_cache_record_name(fetch->file->hash, name);
    int bad = hub_record_open(fetch->cache->blobs, name, fetch->file->bytes, &fetch->record, error);
    if (bad)
        return bad;
    hub_cache_part_name(fetch->file->hash, name);
    fetch->part =
        openat(fetch->cache->blobs, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fetch->part < 0 || fstat(fetch->part, &status))
        return error_set(error, ERROR_IO, "cannot open %s/blobs/%s: %s", fetch->cache->path, name,
                         strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, ERROR_IO, "%s/blobs/%s is not a regular file", fetch->cache->path, name);
    if ((uint64_t)status.st_size == fetch->file->bytes)
        return 0;
    if (ftruncate(fetch->part, 0) || ftruncate(fetch->part, (off_t)fetch->file->bytes))
        return error_set(error, ERROR_IO, "cannot make room for %s: %s", fetch->file->name, strerror(errno));
    return hub_record_start(&fetch->record, "", error);
}

static bool proceed(void *context)
{
    return hub_client_report(context, HUB_VERIFYING, false);
}

static int verify(struct fetch *fetch, bool *good, struct error *error)
{
    if (!hub_client_report(fetch->client, HUB_VERIFYING, true))
        return hub_client_stopped(error);
    /* before the name says that it is whole, it must be so on the disk */
    if (fsync(fetch->part))
        return error_set(error, ERROR_IO, "cannot write %s to the disk: %s", fetch->file->name,
                         strerror(errno));
    int status = hub_digest_check(fetch->part, fetch->file->bytes, fetch->file->hash, proceed, fetch->client,
                                  good, error);
    return status == ERROR_CANCELLED ? hub_client_stopped(error) : status;
}

static void drop(const struct fetch *fetch)
{
    char name[HUB_MAX_ENTRY];
    hub_cache_part_name(fetch->file->hash, name);
    unlinkat(fetch->cache->blobs, name, 0);
    hub_cache_record_name(fetch->file->hash, name);
    unlinkat(fetch->cache->blobs, name, 0);
}

/* Fetches, checks, and once more from the start when the hash is wrong: a record may have outlived its bytes
 * (power failed), and lines do flip bits. */
static int fetch_verified(struct fetch *fetch, struct error *error)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        bool good = false;
        int status = fetch_lines(fetch, error);
        if (!status)
            status = verify(fetch, &good, error);
        if (status)
            return status;
        if (good)
            return hub_cache_settle(fetch->cache, fetch->file->hash, error);
        status = hub_record_start(&fetch->record, "", error);
        if (status)
            return status;
    }
    drop(fetch);
    return error_set(
        error, ERROR_INVALID,
        "%s does not have the hash that the hub's listing says, twice: what came is not used. A proxy "
        "or mirror on the way may alter files",
        fetch->file->name);
}

/* Until the lock is ours (1) or the file is there (0). */
static int wait_turn(struct hub_client *client, const struct hub_cache *cache, const struct hub_file *file,
                     int *lock, struct error *error)
{
    char record[HUB_MAX_ENTRY];
    hub_cache_record_name(file->hash, record);
    for (;;) {
        int status = hub_cache_try_lock(cache, file->hash, lock, error);
        if (status <= 0)
            return status ? status : 1;
        if (hub_cache_has(cache, file))
            return 0;
        client->progress.done_bytes = client->base_bytes + hub_record_peek(cache->blobs, record, file->bytes);
        status = hub_client_sleep(client, HUB_WAITING, LOOK_EVERY_MS, error);
        if (status)
            return status;
    }
}

static char *make_address(const struct hub_client *client, const char *commit, const struct hub_file *file)
{
    struct buffer address = {0};
    buffer_format(&address, "%s/%s/resolve/%s/", client->settings->endpoint, client->options->repository,
                  commit);
    hub_append_encoded(&address, file->name, false);
    if (!address.failed)
        return address.data;
    buffer_free(&address);
    return NULL;
}

int hub_fetch(struct hub_client *client, const struct hub_cache *cache, const char *commit,
              const struct hub_file *file, struct error *error)
{
    struct fetch fetch = {
        .client = client, .cache = cache, .file = file, .part = -1, .record = {.descriptor = -1}};
    int lock = -1, status = hub_cache_has(cache, file) ? 0 : wait_turn(client, cache, file, &lock, error);
    if (status > 0) {
        char *address = make_address(client, commit, file);
        fetch.address = address;
        status = address ? 0 : error_memory(error, "an address", 0);
        if (!status && !hub_cache_has(cache, file)) { /* whoever had the lock may have brought it */
            status = open_part(&fetch, error);
            if (!status)
                status = fetch_verified(&fetch, error);
        }
        hub_record_close(&fetch.record);
        if (fetch.part >= 0)
            close(fetch.part);
        free(address);
        close(lock);
    }
    if (!status)
        client->progress.done_bytes = client->base_bytes + file->bytes;
    return status;
}
