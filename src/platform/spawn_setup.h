/* What every posix_spawn of ours prepares alike: attributes, and file actions that give the child /dev/null
 * as its input and output. Whoever starts something adds its own actions and attributes.
 *
 *     struct spawn_setup setup;
 *     int failed = spawn_setup_init(&setup);
 *     if (failed)
 *         return failed;
 *     failed = posix_spawn_file_actions_adddup2(&setup.actions, ...);
 *     if (!failed)
 *         failed = posix_spawn(..., &setup.actions, &setup.attributes, ...);
 *     spawn_setup_free(&setup);
 */
#ifndef LLMIND_PLATFORM_SPAWN_SETUP_H
#define LLMIND_PLATFORM_SPAWN_SETUP_H

#include <spawn.h>

struct spawn_setup {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

/* 0, or an error number, and then there is nothing to free. */
int spawn_setup_init(struct spawn_setup *setup);
void spawn_setup_free(struct spawn_setup *setup);

#endif
