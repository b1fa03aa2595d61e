#include "hub/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 512, MAGIC = 16 };

static const char magic[MAGIC] = "llmind.part/1\n";

struct head {
    char magic[MAGIC];
    uint64_t bytes, block;
    char etag[HUB_MAX_ETAG];
};
_Static_assert(sizeof(struct head) <= HEAD, "the head has room for what it holds");

static int failed(struct error *error, const char *action)
{
    return error_set(error, ERROR_IO, "cannot %s the record of an unfinished download: %s", action,
                     strerror(errno));
}

static int put(const struct hub_record *record, const void *bytes, size_t length, uint64_t at,
               struct error *error)
{
    ssize_t written = pwrite(record->descriptor, bytes, length, (off_t)at);
    if (written == (ssize_t)length)
        return 0;
    if (written >= 0)
        errno = ENOSPC;
    return failed(error, "write");
}

static int write_head(const struct hub_record *record, struct error *error)
{
    union {
        struct head head;
        char raw[HEAD];
    } page;
    memset(&page, 0, sizeof page);
    memcpy(page.head.magic, magic, MAGIC);
    page.head.bytes = record->bytes;
    page.head.block = HUB_BLOCK;
    snprintf(page.head.etag, sizeof page.head.etag, "%s", record->etag);
    return put(record, &page, sizeof page, 0, error);
}

static bool is_printable(const char *text, size_t capacity)
{
    size_t length = strnlen(text, capacity);
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] == 0x7f)
            return false;
    return length < capacity;
}

/* Fills etag and done from the file; false: it is damaged, or about something else. */
static bool load(struct hub_record *record)
{
    struct head head;
    struct stat status;
    if (fstat(record->descriptor, &status) || status.st_size < 0 ||
        (uint64_t)status.st_size != HEAD + record->n_blocks ||
        pread(record->descriptor, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head.magic, magic, MAGIC) != 0 || head.bytes != record->bytes || head.block != HUB_BLOCK ||
        !is_printable(head.etag, sizeof head.etag))
        return false;
    if (pread(record->descriptor, record->done, record->n_blocks, HEAD) != (ssize_t)record->n_blocks)
        return false;
    record->n_done = 0;
    for (uint64_t i = 0; i < record->n_blocks; i++) {
        if (record->done[i] > 1)
            return false;
        record->n_done += record->done[i];
    }
    memcpy(record->etag, head.etag, sizeof record->etag);
    return true;
}

static int prepare(struct hub_record *record, uint64_t bytes, struct error *error)
{
    *record = (struct hub_record){
        .descriptor = -1, .bytes = bytes, .n_blocks = bytes / HUB_BLOCK + (bytes % HUB_BLOCK > 0)};
    record->done = calloc(record->n_blocks + 1, 1);
    return record->done ? 0 : error_memory(error, "the record of a download", record->n_blocks);
}

int hub_record_open(int folder, const char *name, uint64_t bytes, struct hub_record *record,
                    struct error *error)
{
    int status = prepare(record, bytes, error);
    if (status)
        return status;
    record->descriptor = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (record->descriptor < 0)
        return failed(error, "open");
    return load(record) ? 0 : hub_record_start(record, "", error);
}

void hub_record_close(struct hub_record *record)
{
    if (record->descriptor >= 0)
        close(record->descriptor);
    free(record->done);
    *record = (struct hub_record){.descriptor = -1};
}

int hub_record_start(struct hub_record *record, const char *etag, struct error *error)
{
    memset(record->done, 0, record->n_blocks);
    record->n_done = 0;
    snprintf(record->etag, sizeof record->etag, "%s", etag);
    /* shortened first: what is left of an older one must not be read as blocks that are there */
    if (ftruncate(record->descriptor, 0) || ftruncate(record->descriptor, (off_t)(HEAD + record->n_blocks)))
        return failed(error, "make");
    return write_head(record, error);
}

int hub_record_set_etag(struct hub_record *record, const char *etag, struct error *error)
{
    snprintf(record->etag, sizeof record->etag, "%s", etag);
    return write_head(record, error);
}

int hub_record_add(struct hub_record *record, uint64_t from, uint64_t to, struct error *error)
{
    uint64_t first = from / HUB_BLOCK, end = to == record->bytes ? record->n_blocks : to / HUB_BLOCK;
    int fresh = 0;
    if (end <= first)
        return 0;
    for (uint64_t i = first; i < end; i++) {
        fresh += !record->done[i];
        record->done[i] = 1;
    }
    if (fresh == 0)
        return 0;
    record->n_done += (uint64_t)fresh;
    int status = put(record, record->done + first, (size_t)(end - first), HEAD + first, error);
    return status ? status : fresh;
}

bool hub_record_missing(const struct hub_record *record, uint64_t from, uint64_t *first, uint64_t *end)
{
    uint64_t i = from;
    while (i < record->n_blocks && record->done[i])
        i++;
    *first = i;
    while (i < record->n_blocks && !record->done[i])
        i++;
    *end = i;
    return *end > *first;
}

uint64_t hub_record_done_bytes(const struct hub_record *record)
{
    uint64_t bytes = record->n_done * HUB_BLOCK;
    /* the last block is as short as the file ends */
    if (record->n_blocks && record->done[record->n_blocks - 1])
        bytes -= record->n_blocks * HUB_BLOCK - record->bytes;
    return bytes;
}

uint64_t hub_record_peek(int folder, const char *name, uint64_t bytes)
{
    struct hub_record record;
    uint64_t done = 0;
    if (prepare(&record, bytes, NULL) == 0) {
        record.descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (record.descriptor >= 0 && load(&record))
            done = hub_record_done_bytes(&record);
    }
    hub_record_close(&record);
    return done;
}
