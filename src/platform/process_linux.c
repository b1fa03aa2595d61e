#include "platform/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/small_file.h"

enum { OOM_RAISE = 200, OOM_MAX = 1000, DESCRIPTORS_MAX = 65536 };

void process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

void process_close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    for (int i = first; i < (limit > 0 && limit < DESCRIPTORS_MAX ? (int)limit : DESCRIPTORS_MAX); i++)
        close(i);
}

void process_no_new_privileges(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* /proc/self/oom_score_adj, proc(5): -1000 to 1000. Raising it needs no privilege. */
void process_volunteer_for_oom(void)
{
    static const char path[] = "/proc/self/oom_score_adj";
    char text[32];
    long now = small_file_read(path, text, sizeof text) ? strtol(text, NULL, 10) : 0;
    long raised = now + OOM_RAISE > OOM_MAX ? OOM_MAX : now + OOM_RAISE;
    int length = snprintf(text, sizeof text, "%ld", raised);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    ssize_t written = write(file, text, (size_t)length);
    (void)written; /* best effort */
    close(file);
}

/* The link stands for the file that runs, whatever its name means by now. */
int process_program(char *out, size_t capacity, struct error *error)
{
    static const char link[] = "/proc/self/exe";
    if (access(link, X_OK))
        return error_set(error, ERROR_IO, "cannot use %s: is /proc mounted?", link);
    if (capacity < sizeof link)
        return error_set(error, ERROR_LIMIT, "the path of the program is too long");
    memcpy(out, link, sizeof link);
    return 0;
}
