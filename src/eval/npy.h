/* NumPy's .npy files, as far as evaluation needs them: little-endian float32 matrices and int32 vectors, in C
 * order, read and written row by row so that a file may be larger than memory. Format: numpy.lib.format,
 * versions 1.0 and 2.0. */
#ifndef LLMIND_EVAL_NPY_H
#define LLMIND_EVAL_NPY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum npy_type { NPY_F32, NPY_I32 };

struct npy_file {
    FILE *file;
    enum npy_type type;
    uint64_t rows, cols; /* a vector has 1 column */
    uint32_t n_dims;     /* 1 or 2 */
};

/* Creates the file and writes the header of a float32 matrix; rows * cols numbers have to follow. */
int npy_create(struct npy_file *npy, const char *path, uint64_t rows, uint64_t cols, struct error *error);
int npy_write(struct npy_file *npy, const float *numbers, size_t count, struct error *error);

/* Opens a file and checks that it is what its header says. Errors: ERROR_NOT_FOUND, ERROR_INVALID,
 * ERROR_UNSUPPORTED (other types, Fortran order, more than two dimensions), ERROR_IO. */
int npy_open(struct npy_file *npy, const char *path, struct error *error);
/* The next `count` numbers of 4 bytes. ERROR_INVALID at the end of the file. */
int npy_read(struct npy_file *npy, void *numbers, size_t count, struct error *error);

/* Reports what could not be written; legal on a zeroed struct. */
int npy_close(struct npy_file *npy, struct error *error);

#endif
