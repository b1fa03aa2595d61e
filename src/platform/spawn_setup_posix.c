/* What every posix_spawn of ours begins with (spawn_setup.h). */
#include "platform/spawn_setup.h"

#include <fcntl.h>
#include <unistd.h>

int spawn_setup_init(struct spawn_setup *setup)
{
    int failed = posix_spawn_file_actions_init(&setup->actions);
    if (failed)
        return failed;
    if ((failed = posix_spawnattr_init(&setup->attributes)) != 0) {
        posix_spawn_file_actions_destroy(&setup->actions);
        return failed;
    }
    failed = posix_spawn_file_actions_addopen(&setup->actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&setup->actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (failed)
        spawn_setup_free(setup);
    return failed;
}

void spawn_setup_free(struct spawn_setup *setup)
{
    posix_spawnattr_destroy(&setup->attributes);
    posix_spawn_file_actions_destroy(&setup->actions);
}
