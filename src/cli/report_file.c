/* A file name says the form; render.h does the rest. A report on the terminal is text made for it. */
#include "cli/report_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/terminal.h"

int report_file_format(const char *path)
{
    char ending[16];
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    if (!dot || strlen(dot + 1) >= sizeof ending)
        return -1;
    for (size_t i = 0; i <= strlen(dot + 1); i++)
        ending[i] = (char)(dot[1 + i] >= 'A' && dot[1 + i] <= 'Z' ? dot[1 + i] + 'a' - 'A' : dot[1 + i]);
    return report_format_find(ending);
}

int report_file_write(const json_t *report, const char *path, struct error *error)
{
    int format = report_file_format(path);
    struct buffer bytes = {0};
    if (format < 0)
        return error_set(error, ERROR_INVALID, "%s: a report's file name ends in one of " REPORT_FILE_ENDINGS,
                         path);
    int status = report_render(report, (enum report_format)format, false, &bytes, error);
    FILE *file = status ? NULL : fopen(path, "wbe");
    if (!status && !file)
        status = error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
    if (file) {
        size_t written = fwrite(bytes.data, 1, bytes.length, file);
        if (fclose(file) || written != bytes.length) {
            status = error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(errno));
            unlink(path);
        }
    }
    buffer_free(&bytes);
    return status;
}

int report_print(const json_t *report, struct error *error)
{
    struct buffer text = {0};
    int status = report_render(report, REPORT_TEXT, terminal_has_color(stdout), &text, error);
    if (!status && fwrite(text.data, 1, text.length, stdout) != text.length)
        status = error_set(error, ERROR_IO, "cannot write to standard output: %s", strerror(errno));
    buffer_free(&text);
    return status;
}

int report_print_json(const json_t *report, struct error *error)
{
    if (json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) || putchar('\n') == EOF)
        return error_set(error, ERROR_IO, "cannot write to standard output: %s", strerror(errno));
    return 0;
}

void report_outputs_take(struct cli_parser *parser, struct report_outputs *outputs)
{
    if (report_file_format(parser->value) < 0)
        error_set(&parser->error, ERROR_INVALID,
                  "--output wants a file name that ends in one of " REPORT_FILE_ENDINGS ", not '%s'",
                  parser->value);
    else if (outputs->count == REPORT_OUTPUTS)
        error_set(&parser->error, ERROR_INVALID, "--output may be given %d times", REPORT_OUTPUTS);
    else
        outputs->paths[outputs->count++] = parser->value;
}

int report_outputs_write(const json_t *report, const struct report_outputs *outputs, struct error *error)
{
    int status = 0;
    for (size_t i = 0; !status && i < outputs->count; i++)
        status = report_file_write(report, outputs->paths[i], error);
    return status;
}
