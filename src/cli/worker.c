/* `llmind worker`: what the program starts itself as, to hold a model (worker/client.h). Not for people, so
 * it is in no list. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "worker/client.h"

int cli_worker(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        fprintf(stderr, "llmind worker: this is started by llmind itself, not by hand\n");
        return CLI_EXIT_USAGE;
    }
    return worker_main();
}
