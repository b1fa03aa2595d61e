/* What a process can ask of its system for itself, and which file to start to get another of its kind. All
 * but the last are best effort: where the system has no such thing, nothing happens. */
#ifndef LLMIND_PLATFORM_PROCESS_H
#define LLMIND_PLATFORM_PROCESS_H

#include <stddef.h>

#include "base/error.h"

void process_set_name(const char *name); /* what ps and top show; at most 15 bytes */
/* Closes every descriptor from `first` on. */
void process_close_from(int first);
/* This process and what it starts can never gain privileges (by a set-uid program, say). */
void process_no_new_privileges(void);
/* When memory runs out, the kernel ends this process rather than the one that started it. */
void process_volunteer_for_oom(void);

/* A path that starts the running program again, also when its file was replaced or deleted meanwhile, where
 * the system can do that. Errors as file_program_path. */
int process_program(char *out, size_t capacity, struct error *error);

#endif
