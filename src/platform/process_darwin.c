/* Untried: no Mac has built this yet. */
#include "platform/process.h"

#include <pthread.h>
#include <unistd.h>

#include "platform/file.h"

enum { DESCRIPTORS_MAX = 65536 };

void process_set_name(const char *name)
{
    pthread_setname_np(name);
}

void process_close_from(int first)
{
    long limit = sysconf(_SC_OPEN_MAX);
    for (int i = first; i < (limit > 0 && limit < DESCRIPTORS_MAX ? (int)limit : DESCRIPTORS_MAX); i++)
        close(i);
}

void process_no_new_privileges(void)
{
}

void process_volunteer_for_oom(void)
{
}

int process_program(char *out, size_t capacity, struct error *error)
{
    return file_program_path(out, capacity, error);
}
