/* Charts: which there are for which report, and that text stays inside of what it was given. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile/chart.h"
#include "support/report_fixture.h"

static bool has(const json_t *report, enum chart chart)
{
    enum chart list[CHARTS];
    size_t n = chart_list(report, list);
    for (size_t i = 0; i < n; i++)
        if (list[i] == chart)
            return true;
    return false;
}

static void expect_charts(const char *name, unsigned wanted)
{
    json_t *report = report_fixture(name);
    for (int i = 0; i < CHARTS; i++)
        if (has(report, (enum chart)i) != ((wanted >> i & 1) != 0))
            fail_msg("%s: %s", name, chart_title((enum chart)i));
    json_decref(report);
}

#define BIT(chart) (1u << (chart))

static void charts_with_data_and_no_others(void **state)
{
    (void)state;
    expect_charts("full", BIT(CHARTS) - 1 - BIT(CHART_COMPARISON));
    expect_charts("quick", BIT(CHART_SPEED) | BIT(CHART_CONFIGURATIONS) | BIT(CHART_ITL));
    expect_charts("compare", BIT(CHART_COMPARISON));
    expect_charts("remote", BIT(CHART_SPEED) | BIT(CHART_CONFIGURATIONS) | BIT(CHART_DEPTH) | BIT(CHART_ITL) |
                                BIT(CHART_SCALING));
    expect_charts("failed", 0);
}

static void each_chart_goes_with_its_data(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        enum chart chart;
    } cases[] = {{"sensors", CHART_TIMELINE},
                 {"analysis", CHART_ROOFLINE},
                 {"configurations", CHART_CONFIGURATIONS},
                 {"configurations", CHART_SCALING},
                 {"tests", CHART_SPEED},
                 {"tests", CHART_DEPTH},
                 {"tests", CHART_ITL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *report = report_fixture("full");
        assert_true(has(report, cases[i].chart));
        json_object_set_new(report, cases[i].member, json_null());
        assert_false(has(report, cases[i].chart));
        json_decref(report);
    }
}

/* A chart that says it has data puts ink on the paper, and only inside of its place. */
static void charts_draw_inside_of_their_place(void **state)
{
    (void)state;
    enum { W = CHART_WIDTH, H = CHART_HEIGHT, MARGIN = 30 };
    for (int f = 0; f < N_REPORT_FIXTURES; f++) {
        json_t *report = report_fixture(REPORT_FIXTURES[f]);
        for (int i = 0; i < CHARTS; i++) {
            cairo_surface_t *surface =
                cairo_image_surface_create(CAIRO_FORMAT_ARGB32, W + 2 * MARGIN, H + 2 * MARGIN);
            struct canvas canvas = {cairo_create(surface), &chart_light, MARGIN, MARGIN, W, H};
            bool drawn = chart_draw(report, (enum chart)i, &canvas);
            assert_int_equal(drawn, has(report, (enum chart)i));
            assert_int_equal(cairo_status(canvas.cr), CAIRO_STATUS_SUCCESS);
            cairo_surface_flush(surface);
            const unsigned char *pixels = cairo_image_surface_get_data(surface);
            int stride = cairo_image_surface_get_stride(surface);
            size_t ink = 0, outside = 0;
            for (int y = 0; y < H + 2 * MARGIN; y++)
                for (int x = 0; x < W + 2 * MARGIN; x++) {
                    bool in = x >= MARGIN - 8 && x < W + MARGIN + 8 && y >= MARGIN - 8 && y < H + MARGIN + 8;
                    bool set = pixels[y * stride + 4 * x + 3] != 0;
                    ink += set;
                    outside += set && !in;
                }
            assert_int_equal(ink > 500, drawn);
            if (outside)
                fail_msg("%s of %s: %zu pixels outside", chart_title((enum chart)i), REPORT_FIXTURES[f],
                         outside);
            cairo_destroy(canvas.cr);
            cairo_surface_destroy(surface);
        }
        json_decref(report);
    }
}

static void absurd_figures_are_not_drawn(void **state)
{
    (void)state;
    json_t *figures = json_pack("{s:f, s:f, s:f, s:{s:f}, s:s}", "a", 1e308, "b", -3.0, "c", 0.5, "d",
                                "median", 7.0, "e", "12");
    assert_true(isnan(chart_figure(figures, "a")));
    assert_true(isnan(chart_figure(figures, "b")));
    assert_true(chart_signed(figures, "b") < 0);
    assert_true(chart_figure(figures, "c") > 0.4);
    assert_true(chart_figure(figures, "d") > 6);
    assert_true(isnan(chart_figure(figures, "e")));
    assert_true(isnan(chart_figure(NULL, "a")));
    json_decref(figures);
}

/* Several SVGs in one page: no id is used twice. */
static void ids_have_their_prefix(void **state)
{
    (void)state;
    json_t *report = report_fixture("full");
    struct buffer out = {0};
    assert_int_equal(chart_svg_element(report, CHART_SPEED, &chart_dark, 460, 270, "q7", &out, NULL), 0);
    assert_memory_equal(out.data, "<svg", 4);
    size_t ids = 0, uses = 0;
    for (const char *at = out.data; (at = strstr(at, " id=\"")) != NULL; at += 5, ids++)
        assert_memory_equal(at, " id=\"q7", 7);
    for (const char *at = out.data; (at = strstr(at, "href=\"#")) != NULL; at += 7, uses++)
        assert_memory_equal(at, "href=\"#q7", 9);
    assert_true(ids > 10 && uses > 10);
    buffer_free(&out);
    json_decref(report);
}

/* ---- text ---- */

static struct canvas scratch(void)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, 4, 4);
    struct canvas canvas = {cairo_create(surface), &chart_light, 0, 0, 4, 4};
    cairo_surface_destroy(surface);
    return canvas;
}

static void text_fits(void **state)
{
    (void)state;
    static const char *const texts[] = {"short",
                                        "a text of many words that is longer than the line it stands on",
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                                        "日本語日本語日本語日本語日本語",
                                        "مرحبا بالعالم",
                                        "",
                                        " "};
    struct canvas canvas = scratch();
    struct draw_style style = {.size = 9};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (double width = 20; width < 300; width += 37) {
            double used = draw_text_fit(&canvas, &style, 0, 0, width, texts[i]);
            assert_true(used <= width + 0.01);
        }
    char *huge = calloc(1, 100001);
    memset(huge, 'w', 100000);
    assert_true(draw_text_fit(&canvas, &style, 0, 0, 100, huge) <= 100);
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, 100, 10, 5, true, huge), 5);
    free(huge);
    assert_int_equal(cairo_status(canvas.cr), CAIRO_STATUS_SUCCESS);
    cairo_destroy(canvas.cr);
}

static void paragraphs_count_their_lines(void **state)
{
    (void)state;
    struct canvas canvas = scratch();
    struct draw_style style = {.size = 9};
    double word = draw_text_width(&canvas, &style, "word word");
    const char *text = "word word word word word word";
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, word + 1, 10, 9, true, text), 3);
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, word + 1, 10, 9, false, text), 3);
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, word + 1, 10, 2, true, text), 2);
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, 1e9, 10, 9, true, text), 1);
    assert_int_equal(draw_paragraph(&canvas, &style, 0, 0, word, 10, 9, true, ""), 0);
    cairo_destroy(canvas.cr);
}

/* ---- axes ---- */

static void ticks_are_round(void **state)
{
    (void)state;
    struct draw_ticks ticks;
    draw_ticks(0, 17.3, 5, &ticks);
    assert_int_equal(ticks.n, 4); /* 0 5 10 15 */
    assert_true(fabs(ticks.at[3] - 15) < 1e-9);
    draw_ticks(-44, 122, 5, &ticks);
    assert_true(ticks.n >= 3 && ticks.n <= 6);
    draw_ticks(3, 3, 5, &ticks);
    assert_int_equal(ticks.n, 0);
    draw_ticks(0, 1e-30, 5, &ticks);
    assert_true(ticks.n <= DRAW_MAX_TICKS);
    char label[32];
    draw_tick_label(label, 2500);
    assert_string_equal(label, "2.5k");
    draw_tick_label(label, 0);
    assert_string_equal(label, "0");
    draw_tick_label(label, 0.05);
    assert_string_equal(label, "0.05");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charts_with_data_and_no_others),
        cmocka_unit_test(each_chart_goes_with_its_data),
        cmocka_unit_test(charts_draw_inside_of_their_place),
        cmocka_unit_test(absurd_figures_are_not_drawn),
        cmocka_unit_test(ids_have_their_prefix),
        cmocka_unit_test(text_fits),
        cmocka_unit_test(paragraphs_count_their_lines),
        cmocka_unit_test(ticks_are_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
