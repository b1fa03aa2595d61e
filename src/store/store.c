/* One writer, a few readers.
 *
 * The writer's connection lives as long as the store and is guarded by `writing`: whoever holds that lock is
 * in a transaction. Readers are opened when they are first needed and kept; in WAL mode they see the last
 * commit and neither wait for the writer nor hold it up. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "store/migrate.h"

struct store {
    char path[PATH_MAX];
    pthread_mutex_t writing; /* guards writer */
    struct store_connection *writer;

    pthread_mutex_t reading; /* guards what follows */
    pthread_cond_t returned;
    struct store_connection *idle;
    int n_readers; /* open ones */
};

/* mkdir -p; a folder that we make is the owner's alone. */
static int make_folders(const char *folder, struct error *error)
{
    char path[PATH_MAX];
    size_t length = strlen(folder);
    if (length == 0 || length >= sizeof path)
        return error_set(error, ERROR_LIMIT, "the data folder's path is %s",
                         length ? "longer than a path can be" : "empty");
    memcpy(path, folder, length + 1);
    for (char *end = path + 1;; end++) {
        if (*end && *end != '/')
            continue;
        char kept = *end;
        *end = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && !file_is_folder(path))
            return error_set(error, ERROR_IO, "cannot make the data folder %s: %s", path, strerror(errno));
        *end = kept;
        if (!kept)
            return 0;
    }
}

/* SQLite would make the file readable for everybody. Only a file that was not there is opened here: closing a
 * descriptor of one that SQLite has open in this process would drop SQLite's locks. */
static int make_file(const char *path, struct error *error)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor >= 0)
        close(descriptor);
    else if (errno != EEXIST)
        return error_set(error, ERROR_IO, "cannot make the database %s: %s", path, strerror(errno));
    return 0;
}

static int open_writer(struct store *store, struct error *error)
{
    int status = connection_open(store->path, &store->writer, error);
    if (!status)
        status = store_examine(store->writer, error);
    if (!status)
        status = connection_accept(store->writer, error);
    return status ? status : store_migrate(store->writer, error);
}

int store_open(const char *folder, struct store **out, struct error *error)
{
    *out = NULL;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return error_memory(error, "the database", sizeof *store);
    pthread_mutex_init(&store->writing, NULL);
    pthread_mutex_init(&store->reading, NULL);
    pthread_cond_init(&store->returned, NULL);
    int status = make_folders(folder, error);
    if (!status)
        status = file_join(store->path, sizeof store->path, folder, "llmind.db", error);
    if (!status)
        status = make_file(store->path, error);
    if (!status)
        status = open_writer(store, error);
    if (status)
        store_close(store);
    else
        *out = store;
    return status;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (struct store_connection *next, *reader = store->idle; reader; reader = next) {
        next = reader->next;
        connection_close(reader);
    }
    connection_close(store->writer); /* last: it writes the WAL back */
    pthread_cond_destroy(&store->returned);
    pthread_mutex_destroy(&store->reading);
    pthread_mutex_destroy(&store->writing);
    free(store);
}

const char *store_path(const struct store *store)
{
    return store->path;
}

/* ---- readers ---- */

static void forget_reader(struct store *store, struct store_connection *reader)
{
    connection_close(reader);
    pthread_mutex_lock(&store->reading);
    store->n_readers--;
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->reading);
}

int store_read_begin(struct store *store, struct store_connection **out, struct error *error)
{
    pthread_mutex_lock(&store->reading);
    while (!store->idle && store->n_readers == STORE_READERS)
        pthread_cond_wait(&store->returned, &store->reading);
    struct store_connection *reader = store->idle;
    if (reader)
        store->idle = reader->next;
    else
        store->n_readers++;
    pthread_mutex_unlock(&store->reading);

    int status = 0;
    if (!reader) {
        status = connection_open(store->path, &reader, error);
        if (!status)
            status = connection_accept(reader, error);
    }
    if (!status)
        status = connection_run(reader, "BEGIN", error);
    if (status) {
        forget_reader(store, reader);
        return status;
    }
    *out = reader;
    return 0;
}

void store_read_end(struct store *store, struct store_connection *reader)
{
    if (connection_run(reader, "ROLLBACK",
                       NULL)) { /* nothing to keep; one that is broken is not used again */
        forget_reader(store, reader);
        return;
    }
    pthread_mutex_lock(&store->reading);
    reader->next = store->idle;
    store->idle = reader;
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->reading);
}

/* ---- the writer ---- */

int store_write_begin(struct store *store, struct store_connection **out, struct error *error)
{
    pthread_mutex_lock(&store->writing);
    int status = connection_run(store->writer, "BEGIN IMMEDIATE", error);
    if (status)
        pthread_mutex_unlock(&store->writing);
    else
        *out = store->writer;
    return status;
}

int store_write_end(struct store *store, struct store_connection *writer, int status, struct error *error)
{
    if (!status)
        status = connection_run(writer, "COMMIT", error);
    if (status && !sqlite3_get_autocommit(writer->db)) /* a full disk has ended it already */
        connection_run(writer, "ROLLBACK", NULL);
    pthread_mutex_unlock(&store->writing);
    return status;
}
