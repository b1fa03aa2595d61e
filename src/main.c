/* LLMind: runs language models on the machine in front of you and tells you why they run as fast as they do.
 * Commands: cli/commands.c. Exit codes: 0 ok, 1 failed, 2 usage, 3 proven slower (compare --fail-if-slower),
 * 130 interrupted. */
#include "cli/commands.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
