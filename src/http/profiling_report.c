/* Reports and charts of a stored run, drawn when they are asked for. A report may come from another machine,
 * so its HTML is served as a document that can run nothing and reach nothing: an origin of its own (sandbox),
 * no script, no address but data. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "http/profiling.h"
#include "profile/json_get.h"
#include "profile/render.h"

enum { FILE_BYTES = 160, MODEL_BYTES = 64, ID_SHOWN = 8 };

static const char closed_policy[] =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox";

/* "llmind-Qwen3-0.6B-4bit-1f3a90bc.pdf" */
static void file_name(const json_t *row, const char *extension, char out[FILE_BYTES])
{
    char model[MODEL_BYTES];
    const char *name = json_get_text(row, "model", "run"), *slash = strrchr(name, '/');
    size_t n = 0;
    for (name = slash ? slash + 1 : name; *name && n + 1 < sizeof model; name++)
        if (isalnum((unsigned char)*name) || strchr("._-", *name))
            model[n++] = *name;
    model[n] = '\0';
    snprintf(out, FILE_BYTES, "llmind-%s-%.*s.%s", n ? model : "run", ID_SHOWN,
             json_get_text(row, "id", "unknown"), extension);
}

/* What a page shows as it is, or a person wants to look at, is shown; the rest is for saving. */
static void set_headers(struct http_exchange *exchange, const json_t *row, enum report_format format)
{
    char name[FILE_BYTES], value[FILE_BYTES + 40];
    const char *wish = http_query(exchange, "download");
    bool shown =
        format == REPORT_HTML || format == REPORT_PNG || format == REPORT_SVG || format == REPORT_TEXT;
    bool saved = wish ? strcmp(wish, "0") != 0 : !shown;
    file_name(row, report_format_extension(format), name);
    snprintf(value, sizeof value, "%s; filename=\"%s\"", saved ? "attachment" : "inline", name);
    http_set_header(exchange, "Content-Disposition", value);
    if (format == REPORT_HTML || format == REPORT_SVG) {
        http_set_header(exchange, "Content-Security-Policy", closed_policy);
        http_set_header(exchange, "X-Frame-Options", "SAMEORIGIN");
    }
}

static void reply_report(struct http_exchange *exchange, const json_t *row, enum report_format format)
{
    const json_t *report = json_get_object(row, "report");
    const char *status = json_get_text(row, "status", "");
    struct buffer out = {0};
    struct error error = {0};
    if (!report && (strcmp(status, "running") == 0 || strcmp(status, "waiting") == 0)) {
        http_reply_problem(exchange, 409, "not_finished", NULL,
                           "the run is not over yet; its events say how far it is");
    } else if (!report) {
        http_reply_problem(exchange, 404, "no_report", NULL, "this run (%.20s) left no report", status);
    } else if (report_render(report, format, false, &out, &error)) {
        http_reply_error(exchange, &error, NULL);
    } else {
        set_headers(exchange, row, format);
        http_reply_bytes(exchange, 200, report_format_content_type(format), out.data, out.length);
    }
    buffer_free(&out);
}

void profiling_get_report(struct http_exchange *exchange)
{
    const char *extension = strrchr(http_path(exchange), '.');
    int format = extension ? report_format_find(extension + 1) : -1;
    json_t *row = profiling_find_run(exchange);
    if (row && format >= 0)
        reply_report(exchange, row, (enum report_format)format);
    else if (row)
        http_reply_problem(exchange, 404, "unknown_path", NULL, "there is no report in this format");
    json_decref(row);
}
