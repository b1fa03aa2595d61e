#include "hub/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20, ASK_EVERY = 8 };

static int feed(EVP_MD_CTX *digest, int file, uint64_t bytes, unsigned char *buffer,
                bool (*proceed)(void *context), void *context, struct error *error)
{
    uint64_t at = 0;
    for (unsigned round = 0; at < bytes; round++) {
        size_t wanted = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
        ssize_t got = pread(file, buffer, wanted, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(error, ERROR_IO, "cannot read back what was fetched: %s",
                             got < 0 ? strerror(errno) : "the file became shorter");
        if (EVP_DigestUpdate(digest, buffer, (size_t)got) != 1)
            return error_memory(error, "a hash", 0);
        at += (uint64_t)got;
        if (proceed && round % ASK_EVERY == 0 && !proceed(context))
            return error_set(error, ERROR_CANCELLED, "interrupted");
    }
    return 0;
}

int hub_digest_check(int file, uint64_t bytes, const char *wanted, bool (*proceed)(void *context),
                     void *context, bool *good, struct error *error)
{
    bool sha256 = strlen(wanted) == HUB_MAX_HASH;
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned char *buffer = malloc(PIECE);
    int status = 0;
    *good = false;
    if (!digest || !buffer || EVP_DigestInit_ex(digest, sha256 ? EVP_sha256() : EVP_sha1(), NULL) != 1)
        status = error_memory(error, "a hash", PIECE);
    if (!status && !sha256) {
        char head[32];
        int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)bytes);
        if (EVP_DigestUpdate(digest, head, (size_t)n + 1) != 1)
            status = error_memory(error, "a hash", 0);
    }
    if (!status)
        status = feed(digest, file, bytes, buffer, proceed, context, error);
    if (!status && EVP_DigestFinal_ex(digest, value, &length) != 1)
        status = error_memory(error, "a hash", 0);
    if (!status) {
        char text[2 * EVP_MAX_MD_SIZE + 1] = "";
        for (size_t i = 0; i < length; i++)
            snprintf(text + 2 * i, 3, "%02x", value[i]);
        *good = strcmp(text, wanted) == 0;
    }
    EVP_MD_CTX_free(digest);
    free(buffer);
    return status;
}
