/* Untried: no Mac has built this yet. Only of the own process; of others the system tells nobody without
 * rights. */
#include "platform/process_usage.h"

#include <unistd.h>

bool process_usage_parse_stat(const char *text, long ticks_per_s, struct process_usage *out)
{
    (void)text;
    (void)ticks_per_s;
    (void)out;
    return false;
}

void process_usage_read(pid_t pid, struct process_usage *out)
{
    *out = (struct process_usage){0};
    if (pid == getpid())
        memory_process_read(&out->memory);
}
