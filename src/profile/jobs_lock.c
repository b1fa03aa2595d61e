/* One run at a time for a data folder, whichever process runs it: flock(2) on a file in the folder.
 *
 * The kernel drops the lock with the process, however that ends, so there is no stale lock to find. What the
 * file says (the run's id and the process, for others to name) is only believed while somebody holds the
 * lock. Descriptors are closed on exec: a lab that outlives a killed parent does not keep the lock.
 *
 * Where the file cannot be opened (a folder that is not there, a read-only or full disk) a run goes on
 * without it: measuring must be possible there too, and nothing is saved that two could write at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/clock.h"
#include "platform/file.h"
#include "profile/jobs_internal.h"

enum {
    POLL_MS = 20,
    SURE_MS = 2 * POLL_MS, /* by then a name in the file is the holder's and not of one that was killed */
    LOOKER_MS = 2000       /* how long somebody who only looks (jobs_lock_look) may be in the way */
};

static int open_file(const char *folder)
{
    char path[PATH_MAX];
    struct stat file;
    if (!folder || file_join(path, sizeof path, folder, "profiling.lock", NULL))
        return -1;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (descriptor < 0)
        return -1;
    if (fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode))
        return descriptor;
    close(descriptor);
    return -1;
}

static void read_holder(int descriptor, struct jobs_holder *holder)
{
    char text[80];
    *holder = (struct jobs_holder){.pid = 0};
    ssize_t n = pread(descriptor, text, sizeof text - 1, 0);
    if (n <= 0)
        return;
    text[n] = '\0';
    char *space = strchr(text, ' ');
    if (!space)
        return;
    *space = '\0';
    long pid = strtol(space + 1, NULL, 10);
    if (jobs_id_is_valid(text) && pid > 0) {
        memcpy(holder->id, text, JOBS_ID);
        holder->pid = pid;
    }
}

/* What the last one left there is nobody's. */
static void forget_holder(int descriptor)
{
    if (ftruncate(descriptor, 0))
        log_event(LOG_LEVEL_WARNING, "profiling_lock", "reason=%s", strerror(errno));
}

static void pause_ms(long ms)
{
    struct timespec wait = {.tv_nsec = ms * 1000000L};
    nanosleep(&wait, NULL);
}

int jobs_lock_take(const char *folder, uint32_t wait_ms, int *descriptor, struct jobs_holder *holder,
                   struct error *error)
{
    uint64_t start = clock_now_ns();
    *holder = (struct jobs_holder){.pid = 0};
    *descriptor = open_file(folder);
    if (*descriptor < 0) {
        if (folder)
            log_event(LOG_LEVEL_WARNING, "no_profiling_lock", "folder=%s reason=%s", folder, strerror(errno));
        return 0;
    }
    while (flock(*descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) { /* a file system without locks */
            close(*descriptor);
            *descriptor = -1;
            return 0;
        }
        read_holder(*descriptor, holder);
        uint64_t waited_ms = (clock_now_ns() - start) / 1000000;
        if (waited_ms >= wait_ms && waited_ms >= (holder->id[0] ? SURE_MS : LOOKER_MS)) {
            close(*descriptor);
            *descriptor = -1;
            return error_set(error, ERROR_BUSY, "another profiling run is going on (process %ld, run %s)",
                             holder->pid, holder->id[0] ? holder->id : "not known yet");
        }
        pause_ms(POLL_MS);
    }
    forget_holder(*descriptor);
    return 0;
}

void jobs_lock_name(int descriptor, const char *id)
{
    char text[80];
    int n = snprintf(text, sizeof text, "%s %ld\n", id, (long)getpid());
    if (descriptor >= 0 && pwrite(descriptor, text, (size_t)n, 0) != n) /* a full disk: others see no id */
        log_event(LOG_LEVEL_WARNING, "profiling_lock", "reason=%s", strerror(errno));
}

void jobs_lock_release(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

bool jobs_lock_look(const char *folder, int *descriptor)
{
    *descriptor = open_file(folder);
    if (*descriptor < 0)
        return true;
    if (flock(*descriptor, LOCK_SH | LOCK_NB) == 0) {
        forget_holder(*descriptor); /* one that was killed */
        return true;
    }
    if (errno != EWOULDBLOCK)
        return true;
    close(*descriptor);
    *descriptor = -1;
    return false;
}
