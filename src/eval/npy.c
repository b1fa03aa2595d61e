/* A file is the magic "\x93NUMPY", a version, a header length, and a header that is a Python dict literal:
 * {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }. The reader looks for its three keys and takes
 * nothing else on trust: what the shape claims must be exactly the bytes that follow. */
#include "eval/npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"

enum { HEADER_MAX = 4096, HEADER_ALIGNMENT = 64 };

int npy_create(struct npy_file *npy, const char *path, uint64_t rows, uint64_t cols, struct error *error)
{
    char header[256] = "\x93NUMPY\x01";
    const size_t prefix = 10;
    *npy = (struct npy_file){.type = NPY_F32, .rows = rows, .cols = cols, .n_dims = 2};
    size_t length = prefix + (size_t)snprintf(header + prefix, sizeof header - prefix,
                                              "{'descr': '<f4', 'fortran_order': False, 'shape': (%" PRIu64
                                              ", %" PRIu64 "), }",
                                              rows, cols);
    while ((length + 1) % HEADER_ALIGNMENT)
        header[length++] = ' ';
    header[length++] = '\n';
    header[8] = (char)((length - prefix) & 255);
    header[9] = (char)((length - prefix) >> 8);

    npy->file = fopen(path, "wb");
    if (!npy->file)
        return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    if (fwrite(header, 1, length, npy->file) != length)
        return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

int npy_write(struct npy_file *npy, const float *numbers, size_t count, struct error *error)
{
    if (fwrite(numbers, sizeof *numbers, count, npy->file) != count)
        return error_set(error, ERROR_IO, "cannot write the .npy file: %s", strerror(errno));
    return 0;
}

static int bad(struct error *error, const char *path, const char *what)
{
    return error_set(error, ERROR_INVALID, "%s is not a valid .npy file: %s", path, what);
}

/* Text after 'key': in the header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at ? strchr(at, ':') : NULL;
    return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static int parse_shape(struct npy_file *npy, const char *text, const char *path, struct error *error)
{
    uint64_t dims[2] = {1, 1};
    if (!text || *text != '(')
        return bad(error, path, "no shape");
    text++;
    for (;;) {
        text += strspn(text, " ,");
        if (*text == ')')
            break;
        if (*text < '0' || *text > '9')
            return bad(error, path, "a shape that is not made of numbers");
        if (npy->n_dims == 2)
            return error_set(error, ERROR_UNSUPPORTED, "%s has more than two dimensions", path);
        char *end;
        errno = 0;
        dims[npy->n_dims++] = strtoull(text, &end, 10);
        if (errno)
            return bad(error, path, "an absurd shape");
        text = end;
    }
    if (npy->n_dims == 0)
        return error_set(error, ERROR_UNSUPPORTED, "%s holds a single number", path);
    npy->rows = dims[0];
    npy->cols = dims[1];
    return 0;
}

static int parse_header(struct npy_file *npy, const char *header, const char *path, struct error *error)
{
    const char *descr = value_of(header, "'descr'"), *order = value_of(header, "'fortran_order'");
    if (!descr || !order)
        return bad(error, path, "the header lacks a key");
    if (strncmp(descr, "'<f4'", 5) == 0)
        npy->type = NPY_F32;
    else if (strncmp(descr, "'<i4'", 5) == 0)
        npy->type = NPY_I32;
    else
        return error_set(error, ERROR_UNSUPPORTED, "%s is neither float32 nor int32, little endian", path);
    if (strncmp(order, "False", 5) != 0)
        return error_set(error, ERROR_UNSUPPORTED,
                         "%s is in Fortran order; save it with np.ascontiguousarray", path);
    return parse_shape(npy, value_of(header, "'shape'"), path, error);
}

static int read_header(struct npy_file *npy, const char *path, struct error *error)
{
    unsigned char prefix[12];
    char header[HEADER_MAX + 1];
    if (fread(prefix, 1, 10, npy->file) != 10 || memcmp(prefix, "\x93NUMPY", 6) != 0)
        return bad(error, path, "it does not begin as one");
    size_t length = (size_t)prefix[8] | (size_t)prefix[9] << 8, start = 10;
    if (prefix[6] == 2) {
        if (fread(prefix + 10, 1, 2, npy->file) != 2)
            return bad(error, path, "it ends in its header");
        length |= (size_t)prefix[10] << 16 | (size_t)prefix[11] << 24;
        start = 12;
    } else if (prefix[6] != 1) {
        return error_set(error, ERROR_UNSUPPORTED, "%s has .npy version %d; 1 and 2 are read", path,
                         prefix[6]);
    }
    if (length > HEADER_MAX)
        return bad(error, path, "its header is too long");
    if (fread(header, 1, length, npy->file) != length)
        return bad(error, path, "it ends in its header");
    header[length] = 0;
    int result = parse_header(npy, header, path, error);
    if (result)
        return result;

    struct stat status;
    size_t bytes;
    if (fstat(fileno(npy->file), &status))
        return error_set(error, ERROR_IO, "cannot read %s: %s", path, strerror(errno));
    if (!checked_mul(npy->rows, npy->cols, &bytes) || !checked_mul(bytes, 4, &bytes) ||
        !checked_add(bytes, start + length, &bytes) || bytes != (size_t)status.st_size)
        return bad(error, path, "its length does not match its shape");
    return 0;
}

int npy_open(struct npy_file *npy, const char *path, struct error *error)
{
    *npy = (struct npy_file){0};
    npy->file = fopen(path, "rb");
    if (!npy->file)
        return error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, "cannot read %s: %s", path,
                         strerror(errno));
    int result = read_header(npy, path, error);
    if (result)
        npy_close(npy, NULL);
    return result;
}

int npy_read(struct npy_file *npy, void *numbers, size_t count, struct error *error)
{
    if (fread(numbers, 4, count, npy->file) != count)
        return error_set(error, ERROR_INVALID, "the .npy file ends too early");
    return 0;
}

int npy_close(struct npy_file *npy, struct error *error)
{
    if (!npy->file)
        return 0;
    int failed = ferror(npy->file);
    errno = 0;
    failed |= fclose(npy->file);
    npy->file = NULL;
    if (failed)
        return error_set(error, ERROR_IO, "the .npy file could not be written: %s",
                         errno ? strerror(errno) : "disk full?");
    return 0;
}
