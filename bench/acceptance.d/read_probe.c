/* How fast this machine reads memory: the ceiling that decoding is held against.
 *
 * read_probe FILE THREADS SECONDS: maps the file, as the engine maps weights, lets every thread read its part
 * of it again and again, and prints gigabytes per second. It shares no code with the program it judges. Every
 * thread reads in several streams, 64 bytes at a time, and asks ahead for what comes next. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STREAMS = 4, LINE = 64, AHEAD = 16 * LINE, MAX_THREADS = 256 };

struct part {
    pthread_t thread;
    const uint8_t *data;
    size_t length;
    uint64_t sum;
};

static void *read_part(void *argument)
{
    struct part *part = argument;
    size_t each = part->length / STREAMS / LINE * LINE;
    uint64_t sums[8] = {0};
    for (size_t at = 0; at < each; at += LINE)
        for (size_t s = 0; s < STREAMS; s++) {
            const uint8_t *line = part->data + s * each + at;
            uint64_t words[8];
            __builtin_prefetch(line + AHEAD);
            memcpy(words, line, sizeof words);
            for (int i = 0; i < 8; i++)
                sums[i] += words[i];
        }
    for (int i = 0; i < 8; i++)
        part->sum += sums[i];
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t pass(struct part *parts, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        if (pthread_create(&parts[i].thread, NULL, read_part, &parts[i]))
            exit(1);
    for (int i = 0; i < n; i++) {
        pthread_join(parts[i].thread, NULL);
        sum += parts[i].sum;
    }
    return sum;
}

int main(int argc, char **argv)
{
    static struct part parts[MAX_THREADS];
    struct stat status;
    int threads = argc == 4 ? atoi(argv[2]) : 0;
    double seconds = argc == 4 ? atof(argv[3]) : 0;
    int file = argc == 4 ? open(argv[1], O_RDONLY) : -1;
    if (threads < 1 || threads > MAX_THREADS || file < 0 || fstat(file, &status)) {
        fprintf(stderr, "usage: read_probe FILE THREADS SECONDS\n");
        return 2;
    }
    size_t length = (size_t)status.st_size;
    uint8_t *data = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED)
        return 1;
    for (int i = 0; i < threads; i++) {
        parts[i].data = data + length / (size_t)threads * (size_t)i;
        parts[i].length = length / (size_t)threads;
    }
    uint64_t sum = pass(parts, threads); /* faults the pages in */
    double start = now(), bytes = 0;
    do {
        sum += pass(parts, threads);
        bytes += (double)length;
    } while (now() - start < seconds);
    printf("%.3f\n", bytes * 1e-9 / (now() - start));
    return sum == 42; /* the sum is used, so the reads are done */
}
