/* A folder for one test, gone with all that is in it at the end. */
#ifndef LLMIND_TESTS_FOLDER_H
#define LLMIND_TESTS_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void folder_make(char out[64])
{
    snprintf(out, 64, "/tmp/llmind-test-XXXXXX");
    if (!mkdtemp(out))
        abort();
}

/* Files only: tests make no folders in it. */
static inline void folder_remove(const char *folder)
{
    DIR *list = opendir(folder);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (list)
        closedir(list);
    rmdir(folder);
}

#endif
