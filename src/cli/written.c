#include "cli/written.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/session.h"
#include "platform/clock.h"

void written_begin(struct written *written)
{
    *written = (struct written){.start_ns = clock_now_ns()};
    cli_catch_interrupts();
}

bool written_progress(void *context, uint64_t done, uint64_t total)
{
    struct written *written = context;
    uint64_t now = clock_now_ns();
    if (isatty(STDERR_FILENO) && now - written->shown_ns > UINT64_C(200000000)) {
        double seconds = (double)(now - written->start_ns) * 1e-9;
        fprintf(stderr, "\r%5.1f %%  %.2f of %.2f GB, %.2f GB/s ", 100.0 * (double)done / (double)total,
                (double)done * 1e-9, (double)total * 1e-9, (double)done * 1e-9 / seconds);
        written->shown_ns = now;
        written->shown = true;
    }
    return atomic_load(&cli_interrupts) == 0;
}

double written_end(const struct written *written)
{
    if (written->shown)
        fprintf(stderr, "\r%60s\r", "");
    return (double)(clock_now_ns() - written->start_ns) * 1e-9;
}
