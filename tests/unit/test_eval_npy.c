/* .npy files, token files, and the scores: hostile headers end with an error, known numbers come out right.
 */
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

#include "eval/npy.h"
#include "eval/score.h"
#include "eval/tokens.h"

static char path[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/llmind-eval-XXXXXX.npy");
    int descriptor = mkstemps(path, 4);
    return descriptor < 0 ? -1 : close(descriptor);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_bytes(const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* A version 1 file with this header text and n_data bytes of zeros behind it. */
static void write_npy(const char *header, size_t n_data)
{
    char bytes[512] = "\x93NUMPY\x01";
    size_t length = strlen(header);
    bytes[8] = (char)length;
    memcpy(bytes + 10, header, length);
    write_bytes(bytes, 10 + length + n_data);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct npy_file npy;
    float numbers[6] = {1, -2.5f, 3, 1e30f, 0, 6}, back[6];
    assert_int_equal(npy_create(&npy, path, 2, 3, NULL), 0);
    assert_int_equal(npy_write(&npy, numbers, 3, NULL), 0);
    assert_int_equal(npy_write(&npy, numbers + 3, 3, NULL), 0);
    assert_int_equal(npy_close(&npy, NULL), 0);
    assert_int_equal(npy_open(&npy, path, NULL), 0);
    assert_int_equal(npy.rows, 2);
    assert_int_equal(npy.cols, 3);
    assert_int_equal(ftell(npy.file) % 64, 0);
    assert_int_equal(npy_read(&npy, back, 6, NULL), 0);
    assert_memory_equal(numbers, back, sizeof back);
    assert_int_equal(npy_read(&npy, back, 1, NULL), ERROR_INVALID);
    npy_close(&npy, NULL);
}

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        int code;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 16, 0},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", 12, 0},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 15, ERROR_INVALID},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 16, ERROR_INVALID},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }", 32, ERROR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, ERROR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 2), }", 16, ERROR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, ERROR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }", 16, ERROR_INVALID},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", 0, ERROR_INVALID},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 1), }", 0,
         ERROR_INVALID},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4", 16, ERROR_INVALID},
        {"{'descr': '<f4', 'fortran_order': False}", 16, ERROR_INVALID},
        {"{'descr'", 16, ERROR_INVALID},
        {"", 16, ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct npy_file npy;
        write_npy(cases[i].header, cases[i].n_data);
        assert_int_equal(npy_open(&npy, path, NULL), cases[i].code);
        npy_close(&npy, NULL);
    }
    struct npy_file npy;
    write_bytes("\x93NUMPY\x01\x00\xff\xff", 10);
    assert_int_equal(npy_open(&npy, path, NULL), ERROR_INVALID);
    write_bytes("\x93NUM", 4);
    assert_int_equal(npy_open(&npy, path, NULL), ERROR_INVALID);
    assert_int_equal(npy_open(&npy, "/nonexistent/x.npy", NULL), ERROR_NOT_FOUND);
}

static void read_text(const char *text, int code, size_t count)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s.txt", (int)strlen(path) - 4, path);
    FILE *file = fopen(name, "w");
    fputs(text, file);
    fclose(file);
    struct token_list list = {0};
    assert_int_equal(tokens_read(name, &list, NULL), code);
    if (!code) {
        assert_int_equal(list.count, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(list.ids[i], i + 5);
    }
    token_list_free(&list);
    unlink(name);
}

static void tokens_come_in_three_forms(void **state)
{
    (void)state;
    read_text("5 6\n7", 0, 3);
    read_text(" [5, 6, 7, 8]\n", 0, 4);
    read_text("", 0, 0);
    read_text("5 -6", ERROR_INVALID, 0);
    read_text("5 6x", ERROR_INVALID, 0);
    read_text("5 99999999999999999999", ERROR_INVALID, 0);
    read_text("[5, 6", ERROR_INVALID, 0);
    read_text("[5, \"6\"]", ERROR_INVALID, 0);
    read_text("[5, -1]", ERROR_INVALID, 0);
    write_npy("{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", 12);
    struct token_list list = {0};
    assert_int_equal(tokens_read(path, &list, NULL), 0);
    assert_int_equal(list.count, 3);
    token_list_free(&list);
    write_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12);
    assert_int_equal(tokens_read(path, &list, NULL), ERROR_UNSUPPORTED);
}

static void near(double a, double b)
{
    assert_true(fabs(a - b) < 1e-6);
}

static void scores_are_what_they_say(void **state)
{
    (void)state;
    struct score score = {0};
    const float even[4] = {1000, 1000, 1000, 1000}; /* would overflow an exponential */
    score_next(&score, even, 4, 2);
    near(score_perplexity(&score), 4);
    const float sure[4] = {0, 0, 50, 0};
    score_next(&score, sure, 4, 2);
    near(score_perplexity(&score), 2); /* the mean of ln 4 and 0 */
    assert_int_equal(score.correct, 1);

    struct score same = {0};
    score_compare(&same, sure, sure, 4);
    near(same.kl, 0);
    assert_int_equal(same.agreed, 1);
    near(score_relative_error(&same), 0);
    /* p = (3/4, 1/4) against q = (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2 */
    const float p[2] = {logf(3), 0}, q[2] = {0, 0};
    struct score two = {0};
    score_compare(&two, q, p, 2);
    near(two.kl, 0.75 * log(1.5) + 0.25 * log(0.5));
    near(two.kl_max, two.kl);
    near(score_relative_error(&two), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_headers_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tokens_come_in_three_forms, set_up, tear_down),
        cmocka_unit_test(scores_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
