/* The report as one file that needs nothing else: styles and charts are inside, there is no script, and a
 * policy in the head forbids anything that a hostile text might try to load. Light and dark follow the
 * reader's system; each chart is in it twice, once in the colours of each. Well-formed XML, so that other
 * programs can read it too. */
#include <stdio.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/clean.h"
#include "profile/json_get.h"
#include "profile/render_formats.h"

static const char HEAD[] =
    "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
    "<meta charset=\"utf-8\"/>\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>";

static const char STYLE[] =
    "</title>\n<style>\n"
    ":root{--paper:#fff;--panel:#f6f9fa;--grid:#dfe6ea;--muted:#52606d;--ink:#12222b;--accent:#0f766e;"
    "--bad:#b93a0e;--warn:#96620f}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#101b21;--panel:#16242b;--grid:#2a3b44;"
    "--muted:#9fb1bb;--ink:#e7eff2;--accent:#3cc9b8;--bad:#ff8a5c;--warn:#f2b34b}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"
    "'Segoe UI',Roboto,'DejaVu Sans',sans-serif;border-top:6px solid var(--accent)}\n"
    "main{max-width:1080px;margin:0 auto;padding:28px 22px 60px;overflow-wrap:anywhere}\n"
    "h1{font-size:30px;line-height:1.2;margin:2px 0 8px}\n"
    "h2{font-size:18px;margin:38px 0 10px;color:var(--accent)}\n"
    "p{margin:4px 0}\n.muted{color:var(--muted)}\n.small{font-size:13px}\n"
    ".over{font-weight:600;color:var(--accent)}\n"
    ".status{border-left:4px solid var(--bad);background:var(--panel);padding:10px 14px;margin:16px 0;"
    "color:var(--bad)}\n"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px;margin:22px 0}\n"
    ".card{background:var(--panel);border-left:4px solid var(--accent);border-radius:8px;padding:12px 16px}\n"
    ".card b{display:block;font-size:26px;line-height:1.3}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(430px,100%),1fr));gap:18px}\n"
    "figure{margin:0;border:1px solid var(--grid);border-radius:10px;padding:14px}\n"
    "figure.wide{grid-column:1/-1}\nfigure svg{width:100%;height:auto;display:block}\n"
    ".dark{display:none}\n"
    "@media (prefers-color-scheme:dark){.light{display:none}.dark{display:block}}\n"
    ".scroll{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;width:100%}\n"
    "th,td{padding:5px 10px 5px 0;text-align:left;border-bottom:1px solid var(--grid);white-space:nowrap}\n"
    "td.text,th.text{white-space:normal;min-width:9em}\n"
    "th{color:var(--muted);font-weight:600}\n.r{text-align:right}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:0 28px}\n"
    ".item{border-left:3px solid var(--accent);padding:2px 0 2px 14px;margin:12px 0}\n"
    ".High{border-color:var(--bad)}\n.Medium{border-color:var(--warn)}\n.Low{border-color:var(--muted)}\n"
    ".tag{font-size:12px;font-weight:600;color:var(--muted)}\n"
    "li{margin:5px 0}\nfooter{margin-top:44px;color:var(--muted);font-size:13px}\n"
    "@media print{.dark{display:none!important}.light{display:block!important}figure,.item{break-inside:"
    "avoid}}\n</style>\n</head>\n<body>\n<main>\n";

static void element(struct buffer *out, const char *open, const char *text, const char *close)
{
    buffer_text(out, open);
    clean_xml(out, text);
    buffer_text(out, close);
}

static void line(struct buffer *out, const char *text)
{
    if (*text)
        element(out, "<p class=\"muted\">", text, "</p>\n");
}

static void head(const struct view *view, struct buffer *out)
{
    buffer_text(out, HEAD);
    element(out, "LLMind: ", view->title, "");
    buffer_text(out, STYLE);
    element(out, "<p class=\"over\">LLMind · ", view->heading, "</p>\n");
    element(out, "<h1>", view->title, "</h1>\n");
    line(out, view->model_line);
    line(out, view->machine_line);
    line(out, view->engine_line);
    line(out, view->run_line);
    if (*view->status)
        element(out, "<p class=\"status\">", view->status, "</p>\n");
    buffer_text(out, "<div class=\"cards\">\n");
    for (int i = 0; i < VIEW_CARDS; i++) {
        element(out, "<div class=\"card\"><span class=\"muted small\">", view->cards[i].label, "</span>");
        element(out, "<b>", view->cards[i].value, "</b>");
        element(out, "<span class=\"muted small\">", view->cards[i].note, "</span></div>\n");
    }
    buffer_text(out, "</div>\n");
}

static int chart_in(const json_t *report, enum chart chart, bool dark, double width, struct buffer *out,
                    struct error *error)
{
    char prefix[16];
    snprintf(prefix, sizeof prefix, "%c%d", dark ? 'd' : 'l', (int)chart);
    buffer_format(out, "<div class=\"%s\">", dark ? "dark" : "light");
    int rc = chart_svg_element(report, chart, dark ? &chart_dark : &chart_light, width, CHART_HEIGHT, prefix,
                               out, error);
    buffer_text(out, "</div>\n");
    return rc;
}

static int charts(const json_t *report, struct buffer *out, struct error *error)
{
    enum chart list[CHARTS];
    size_t n = chart_list(report, list);
    int rc = 0;
    buffer_text(out, n ? "<h2>Charts</h2>\n<div class=\"charts\">\n" : "");
    for (size_t i = 0; i < n && !rc; i++) {
        bool wide = list[i] == CHART_TIMELINE || (i + 1 == n && n == 1);
        double width = wide ? 2 * CHART_WIDTH : CHART_WIDTH;
        buffer_format(out, "<figure role=\"img\" aria-label=\"%s. %s\"%s>\n", chart_title(list[i]),
                      chart_caption(list[i]), wide ? " class=\"wide\"" : "");
        rc = chart_in(report, list[i], false, width, out, error);
        rc = rc ? rc : chart_in(report, list[i], true, width, out, error);
        buffer_text(out, "</figure>\n");
    }
    buffer_text(out, n ? "</div>\n" : "");
    return rc;
}

static void table(const struct view *view, struct buffer *out, enum view_table which)
{
    const struct table *t = &view->tables[which];
    size_t rows = table_rows(t);
    if (rows == 0)
        return;
    element(out, "<section><h2>", view_table_title(which), "</h2>\n<div class=\"scroll\"><table>\n");
    for (size_t r = 0; r <= rows; r++) {
        const char *tag = r == 0 ? "th" : "td";
        buffer_text(out, r == 0 ? "<thead><tr>" : "<tr>");
        for (size_t c = 0; c < t->n_columns; c++) {
            const char *kind = t->align[c] == 'r'   ? " class=\"r\""
                               : t->align[c] == 'L' ? " class=\"text\""
                                                    : "";
            buffer_format(out, "<%s%s>", tag, kind);
            clean_xml(out, table_at(t, r, c));
            buffer_format(out, "</%s>", tag);
        }
        buffer_text(out, r == 0 ? "</tr></thead>\n<tbody>\n" : "</tr>\n");
    }
    buffer_text(out, "</tbody></table></div>\n");
    if (view->cut_rows[which])
        buffer_format(out, "<p class=\"muted small\">%zu more are in the JSON report.</p>\n",
                      view->cut_rows[which]);
    buffer_text(out, "</section>\n");
}

static void list(struct buffer *out, const char *title, const struct view_lines *lines)
{
    if (lines->n == 0)
        return;
    element(out, "<section><h2>", title, "</h2>\n<ul>\n");
    for (size_t i = 0; i < lines->n; i++)
        element(out, "<li>", lines->items[i], "</li>\n");
    if (lines->more)
        buffer_format(out, "<li class=\"muted\">%zu more, in the JSON report</li>\n", lines->more);
    buffer_text(out, "</ul></section>\n");
}

static void more(struct buffer *out, size_t n)
{
    if (n)
        buffer_format(out, "<p class=\"muted small\">%zu more are in the JSON report.</p>\n", n);
}

static void conclusions(const struct view *view, struct buffer *out)
{
    buffer_text(out, view->n_findings ? "<h2>What limits it</h2>\n" : "");
    for (size_t i = 0; i < view->n_findings; i++) {
        const struct view_finding *finding = &view->findings[i];
        buffer_format(out, "<div class=\"item %s\"><span class=\"tag\">%s%s</span>", finding->severity,
                      finding->severity, finding->principal ? " · principal" : "");
        element(out, "<p><strong>", finding->title, "</strong></p>");
        element(out, "<p>", finding->text, "</p>");
        element(out, "<p class=\"muted small\">", finding->evidence, "</p></div>\n");
    }
    more(out, view->more_findings);
    buffer_text(out, view->n_advice || *view->best ? "<h2>What to do</h2>\n" : "");
    if (*view->best)
        element(out,
                view->proof ? "<div class=\"item\"><span class=\"tag\">proof</span><p>"
                            : "<div class=\"item\"><span class=\"tag\">configurations</span><p>",
                view->best, "</p></div>\n");
    for (size_t i = 0; i < view->n_advice; i++) {
        element(out, "<div class=\"item\"><span class=\"tag\">", view->advice[i].expected, "</span>");
        element(out, "<p>", view->advice[i].text, "</p>");
        element(out, "<p class=\"muted small\">", view->advice[i].proof, "</p></div>\n");
    }
    more(out, view->more_advice);
    list(out, "Proofs", &view->proofs);
    list(out, "Strengths", &view->strengths);
}

int render_html(const struct view *view, const json_t *report, struct buffer *out, struct error *error)
{
    static const enum view_table measured[] = {VIEW_COMPARISON, VIEW_PROMPTS, VIEW_SPEED,
                                               VIEW_CONFIGURATIONS},
                                 details[] = {VIEW_PREDICTED, VIEW_WHAT_IF,    VIEW_MEMORY,
                                              VIEW_CEILINGS,  VIEW_OPERATIONS, VIEW_SENSORS},
                                 facts[] = {VIEW_MACHINE, VIEW_FLAGS, VIEW_RUN};
    head(view, out);
    int rc = charts(report, out, error);
    conclusions(view, out);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        table(view, out, measured[i]);
        if (measured[i] == VIEW_SPEED && *view->roofline_line)
            element(out, "<p class=\"muted small\">", view->roofline_line, "</p>\n");
    }
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        table(view, out, details[i]);
    buffer_text(out, "<div class=\"facts\">\n");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        table(view, out, facts[i]);
    buffer_text(out, "</div>\n");
    element(out, "<section><h2>Quality of these figures</h2>\n<p>", view->quality, "</p></section>\n");
    list(out, "Limits of these figures", &view->flags);
    list(out, "Runs that did not count", &view->failures);
    list(out, "Left out or shortened", &view->cuts);
    list(out, "Notes", &view->notes);
    list(out, "Method", &view->method);
    element(out, "<footer>", view->run_line, "</footer>\n</main>\n</body>\n</html>\n");
    return rc;
}
