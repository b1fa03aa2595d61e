/* What transfers are made of: heads of answers, pauses, the record of blocks, hashes. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/answer.h"
#include "hub/digest.h"
#include "hub/record.h"
#include "support/folder.h"

static void feed(struct hub_answer *answer, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(hub_answer_line(answer, lines[i], strlen(lines[i]), 0));
}

static void test_heads(void **state)
{
    (void)state;
    struct hub_answer answer = {0};
    static const char *const lines[] = {"HTTP/1.1 100 Continue\r\n",
                                        "ETag: \"old\"\r\n",
                                        "\r\n",
                                        "HTTP/1.1 206 Partial\r\n",
                                        "content-RANGE: bytes 10-19/100\r\n",
                                        "Content-Length:  10 \r\n",
                                        "ETag: \"x\"\r\n",
                                        "Location: /a\r\n",
                                        "Location: /b\r\n",
                                        "Retry-After: 7\r\n",
                                        "\r\n"};
    hub_answer_reset(&answer);
    feed(&answer, lines, sizeof lines / sizeof *lines);
    assert_int_equal(answer.status, 206);
    assert_true(answer.first == 10 && answer.last == 19 && answer.total == 100 && answer.length == 10);
    assert_string_equal(answer.etag, "\"x\"");
    assert_string_equal(answer.location, "/b");
    assert_true(answer.retry_after_s == 7 && !answer.compressed);
    static const char *const bad[] = {"bytes 10-9/100",  "bytes 0-100/100",
                                      "bytes 0-9/*",     "bytes */100",
                                      "bytes -1-9/100",  "bytes 0-9/100x",
                                      "bits 0-9/100",    "bytes 0-9",
                                      "bytes 0 - 9/100", "bytes 0-9999999999999999999/99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        snprintf(line, sizeof line, "Content-Range: %s\r\n", bad[i]);
        const char *const head[] = {"HTTP/1.1 206 x\r\n", line, "Content-Length: 1x\r\n",
                                    "Content-Encoding: gzip\r\n"};
        feed(&answer, head, 4);
        if (answer.first != HUB_UNKNOWN || answer.total != HUB_UNKNOWN)
            fail_msg("%s was taken", bad[i]);
        assert_true(answer.length == HUB_UNKNOWN && answer.compressed);
    }
    char long_line[1024];
    memset(long_line, 'x', sizeof long_line);
    int n = 0;
    while (hub_answer_line(&answer, long_line, sizeof long_line, 0))
        assert_true(n++ < 100);
    hub_answer_free(&answer);
}

static void test_pauses(void **state)
{
    (void)state;
    uint64_t random = 1, other = 2;
    uint32_t sum = 0, same = 0;
    for (unsigned failures = 1; failures <= 20; failures++) {
        uint32_t most = failures <= 6 ? 250u << (failures - 1) : 15000;
        uint32_t a = hub_backoff_ms(failures, &random), b = hub_backoff_ms(failures, &other);
        assert_true(a >= most / 2 && a <= most && b >= most / 2 && b <= most);
        sum += a;
        same += a == b;
    }
    assert_true(sum > 0 && same < 5);
    assert_true(hub_retry_after_s("120", 0) == 120);
    assert_true(isnan(hub_retry_after_s("soon", 0)) && isnan(hub_retry_after_s("-1", 0)) &&
                isnan(hub_retry_after_s("1.5x", 0)));
    assert_true(hub_retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 10) == 50);
    assert_true(hub_retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 100) == 0);
}

static void test_record(void **state)
{
    (void)state;
    char folder[64];
    struct hub_record record;
    uint64_t first, end, bytes = 5 * HUB_BLOCK + 100;
    folder_make(folder);
    int at = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(hub_record_open(at, "r", bytes, &record, NULL), 0);
    assert_int_equal(record.n_blocks, 6);
    assert_int_equal(hub_record_start(&record, "\"tag\"", NULL), 0);
    assert_int_equal(hub_record_add(&record, HUB_BLOCK, 2 * HUB_BLOCK - 1, NULL), 0); /* a byte is missing */
    assert_int_equal(hub_record_add(&record, 2 * HUB_BLOCK - 1, 3 * HUB_BLOCK + 5, NULL), 2);
    assert_int_equal(hub_record_add(&record, HUB_BLOCK, 3 * HUB_BLOCK, NULL), 0); /* were there */
    assert_int_equal(hub_record_add(&record, 5 * HUB_BLOCK, bytes, NULL), 1);     /* the short last one */
    assert_true(hub_record_done_bytes(&record) == 2 * HUB_BLOCK + 100);
    assert_true(hub_record_missing(&record, 0, &first, &end) && first == 0 && end == 1);
    assert_true(hub_record_missing(&record, 1, &first, &end) && first == 3 && end == 5);
    assert_false(hub_record_missing(&record, 5, &first, &end));
    hub_record_close(&record);

    assert_true(hub_record_peek(at, "r", bytes) == 2 * HUB_BLOCK + 100);
    assert_true(hub_record_peek(at, "r", bytes + 1) == 0); /* of another file */
    assert_true(hub_record_peek(at, "none", bytes) == 0);
    assert_int_equal(hub_record_open(at, "r", bytes, &record, NULL), 0);
    assert_string_equal(record.etag, "\"tag\"");
    assert_int_equal(record.n_done, 3);
    assert_int_equal(hub_record_start(&record, "", NULL), 0);
    hub_record_close(&record);
    assert_true(hub_record_peek(at, "r", bytes) == 0);

    /* nothing but 0 and 1 is a block */
    assert_int_equal(hub_record_open(at, "r", bytes, &record, NULL), 0);
    assert_int_equal(pwrite(record.descriptor, "\1\1\2", 3, 512), 3);
    hub_record_close(&record);
    assert_true(hub_record_peek(at, "r", bytes) == 0);
    assert_int_equal(hub_record_open(at, "r", 0, &record, NULL), 0);
    assert_int_equal(record.n_blocks, 0);
    hub_record_close(&record);
    close(at);
    folder_remove(folder);
}

static bool say_no(void *context)
{
    (void)context;
    return false;
}

static void test_digests(void **state)
{
    (void)state;
    char folder[64], path[96];
    bool good;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/f", folder);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(write(file, "abc", 3), 3);
    /* FIPS 180-2, appendix B.1; `printf abc | git hash-object --stdin` */
    static const char sha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char git[] = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";
    assert_int_equal(hub_digest_check(file, 3, sha256, NULL, NULL, &good, NULL), 0);
    assert_true(good);
    assert_int_equal(hub_digest_check(file, 3, git, NULL, NULL, &good, NULL), 0);
    assert_true(good);
    assert_int_equal(hub_digest_check(file, 2, git, NULL, NULL, &good, NULL), 0);
    assert_false(good);
    assert_int_equal(hub_digest_check(file, 4, sha256, NULL, NULL, &good, NULL), ERROR_IO);
    assert_false(good);
    assert_int_equal(hub_digest_check(file, 3, sha256, say_no, NULL, &good, NULL), ERROR_CANCELLED);
    assert_false(good);
    close(file);
    folder_remove(folder);
}

static void test_refusals(void **state)
{
    (void)state;
    struct error error;
    struct hub_answer answer = {.status = 401, .error_code = "GatedRepo"};
    hub_refusal(&answer, "o/n", "main", "https://h", false, &error);
    assert_non_null(strstr(error.message, "https://h/o/n"));
    assert_non_null(strstr(error.message, "HF_TOKEN"));
    hub_refusal(&answer, "o/n", "main", "https://h", true, &error);
    assert_null(strstr(error.message, "HF_TOKEN"));
    answer = (struct hub_answer){.status = 401, .error_code = "RepoNotFound"};
    assert_int_equal(hub_refusal(&answer, "o/n", "main", "https://h", false, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "private or gated"));
    answer = (struct hub_answer){.status = 418};
    assert_int_equal(hub_refusal(&answer, "o/n", "main", "https://h", false, &error), ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),   cmocka_unit_test(test_pauses),   cmocka_unit_test(test_record),
        cmocka_unit_test(test_digests), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
