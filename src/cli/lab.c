/* `llmind lab`: what the program starts itself as, to measure a model (profile/lab.h). Not for people, so it
 * is in no list. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "profile/lab.h"

int cli_lab(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        fprintf(stderr, "llmind lab: this is started by llmind itself, not by hand\n");
        return CLI_EXIT_USAGE;
    }
    return lab_main();
}
