/* The mlx backend lies in a library of its own: it is looked for beside the program (where it is built) and
 * in
 * ../lib/llmind (where it is installed), and nowhere else. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backend/driver.h"
#include "platform/file.h"

#ifdef __APPLE__
#define LIBRARY "libllmind_mlx.dylib"
#else
#define LIBRARY "libllmind_mlx.so"
#endif

enum { PATH_BYTES = 4096 };

static struct {
    pthread_once_t once;
    const struct backend_driver *driver;
    struct error error;
} mlx = {.once = PTHREAD_ONCE_INIT};

static int find_library(char *out, size_t capacity, struct error *error)
{
    static const char *const places[] = {"", "../lib/llmind/"};
    char folder[PATH_BYTES];
    int status = file_program_folder(folder, sizeof folder, error);
    if (status)
        return status;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(out, capacity, "%s/%s%s", folder, places[i], LIBRARY);
        if (file_exists(out))
            return 0;
    }
    return error_set(error, ERROR_UNSUPPORTED,
                     "this installation has no mlx backend: 'scripts/bootstrap mlx', then build again");
}

bool backend_mlx_is_there(void)
{
    char path[PATH_BYTES + 64];
    return find_library(path, sizeof path, NULL) == 0;
}

static void load(void)
{
    char path[PATH_BYTES + 64];
    if (find_library(path, sizeof path, &mlx.error))
        return;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* and never closed: MLX has threads of its own */
    if (!library) {
        error_set(&mlx.error, ERROR_UNSUPPORTED,
                  "the mlx backend cannot be loaded: %.300s. It needs the MLX that it was built with: "
                  "'scripts/bootstrap mlx', then build (and install) again",
                  dlerror());
        return;
    }
    const struct backend_driver *driver = dlsym(library, BACKEND_MLX_SYMBOL);
    if (!driver || driver->version != BACKEND_DRIVER_VERSION || driver->layout != BACKEND_DRIVER_LAYOUT) {
        error_set(&mlx.error, ERROR_UNSUPPORTED,
                  "the mlx backend beside this program is of another version: build it again");
        return;
    }
    mlx.driver = driver;
}

const struct backend_driver *backend_mlx(struct error *error)
{
    pthread_once(&mlx.once, load);
    if (!mlx.driver && error)
        *error = mlx.error;
    return mlx.driver;
}
