/* Names of formats, and which file makes which. */
#include "profile/render.h"

#include <string.h>

#include "profile/chart.h"
#include "profile/render_formats.h"

static const struct {
    const char *extension, *content_type;
} FORMATS[REPORT_FORMATS] = {
    [REPORT_JSON] = {"json", "application/json"},
    [REPORT_CSV] = {"csv", "text/csv; charset=utf-8"},
    [REPORT_MARKDOWN] = {"md", "text/markdown; charset=utf-8"},
    [REPORT_TEXT] = {"txt", "text/plain; charset=utf-8"},
    [REPORT_HTML] = {"html", "text/html; charset=utf-8"},
    [REPORT_PDF] = {"pdf", "application/pdf"},
    [REPORT_PNG] = {"png", "image/png"},
    [REPORT_SVG] = {"svg", "image/svg+xml"},
};

int report_format_find(const char *extension)
{
    for (int i = 0; i < REPORT_FORMATS; i++)
        if (strcmp(FORMATS[i].extension, extension) == 0)
            return i;
    return -1;
}

const char *report_format_extension(enum report_format format)
{
    return FORMATS[format].extension;
}

const char *report_format_content_type(enum report_format format)
{
    return FORMATS[format].content_type;
}

static int append_json(const char *text, size_t size, void *out)
{
    buffer_append(out, text, size);
    return ((struct buffer *)out)->failed ? -1 : 0;
}

static int render_json(const json_t *report, struct buffer *out)
{
    size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(9);
    if (json_dump_callback(report, append_json, out, flags) != 0)
        out->failed = true;
    buffer_text(out, "\n");
    return 0;
}

static int render_viewed(const json_t *report, enum report_format format, bool color, struct buffer *out,
                         struct error *error)
{
    struct view view;
    int rc = view_open(report, &view, error);
    if (rc)
        return rc;
    if (format == REPORT_TEXT)
        render_text(&view, color, out);
    else if (format == REPORT_MARKDOWN)
        render_markdown(&view, out);
    else if (format == REPORT_HTML)
        rc = render_html(&view, report, out, error);
    else
        rc = render_pdf(&view, report, out, error);
    view_close(&view);
    return rc;
}

int report_render(const json_t *report, enum report_format format, bool color, struct buffer *out,
                  struct error *error)
{
    if (!json_is_object(report))
        return error_set(error, ERROR_INVALID, "a report must be a JSON object");
    const char *schema = json_string_value(json_object_get(report, "schema"));
    if (!schema || strcmp(schema, "llmind.report/1") != 0)
        return error_set(error, ERROR_INVALID,
                         "schema: must be \"llmind.report/1\": no other version is known here");
    size_t before = out->length;
    int rc = 0;
    switch (format) {
    case REPORT_JSON:
        rc = render_json(report, out);
        break;
    case REPORT_CSV:
        render_csv(report, out);
        break;
    case REPORT_PNG:
        rc = chart_png(report, out, error);
        break;
    case REPORT_SVG:
        rc = chart_svg(report, out, error);
        break;
    default:
        rc = render_viewed(report, format, color, out, error);
    }
    if (!rc && out->failed)
        rc = error_memory(error, "a rendered report", 0);
    if (rc && out->data) { /* nothing half done is left behind */
        out->length = before;
        out->data[before] = '\0';
    }
    return rc;
}
