/* llmind synth: writes a random-weight model of a real shape. Parses, hands on to synth/, shows progress. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/written.h"
#include "synth/synth.h"

enum {
    ID_BITS = 'b',
    ID_GROUP = 'g',
    ID_MODE = 'm',
    ID_OUTLIERS = 'o',
    ID_SEED = 's',
    ID_LAYERS = 'l',
    ID_JSON = 'j'
};

static const struct cli_option options[] = {
    {ID_BITS, 0, "bits", "N", "2 3 4 5 6 8, or 16 for plain bf16 (default 4; mxfp8: 8)"},
    {ID_GROUP, 0, "group-size", "N", "32 64 128 (default 64; mx formats 32, nvfp4 16)"},
    {ID_MODE, 0, "mode", "NAME", "affine, mxfp4, mxfp8, nvfp4 (default affine)"},
    {ID_OUTLIERS, 0, "outliers", NULL, "plant channels and a first token as extreme as trained models have"},
    {ID_SEED, 0, "seed", "N", "the same seed writes the same bytes (default 0)"},
    {ID_LAYERS, 0, "layers", "N", "fewer or more layers than the shape has"},
    {ID_JSON, 0, "json", NULL, "print what was written as JSON"},
    {0, 0, NULL, NULL, NULL}};

/* The help page lists the shapes there are. */
static const char *about(void)
{
    static char text[2048];
    size_t used =
        (size_t)snprintf(text, sizeof text,
                         "Writes a model of a real shape with random weights, in the layout of MLX "
                         "checkpoints, to benchmark\nand test a machine without any download.\n\nshapes");
    for (size_t i = 0; synth_shape_name(i) && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "\n  %-16s %s", synth_shape_name(i),
                                 synth_shape_summary(i));
    return text;
}

static int print_json(const struct synth_options *synth, const char *folder,
                      const struct synth_report *report, double seconds)
{
    json_t *object =
        json_pack("{s:s,s:s,s:I,s:I,s:i,s:f}", "shape", synth->shape, "path", folder, "parameters",
                  (json_int_t)report->parameters, "tensor_bytes", (json_int_t)report->tensor_bytes, "files",
                  (int)report->n_files, "seconds", seconds);
    int failed = !object || json_dumpf(object, stdout, JSON_INDENT(2));
    json_decref(object);
    puts("");
    return failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int write_model(const struct synth_options *synth, const char *folder, bool json)
{
    struct error error = {0};
    struct synth_report report;
    struct written written;
    written_begin(&written);
    int result = synth_write(synth, folder, written_progress, &written, &report, &error);
    double seconds = written_end(&written);
    if (result)
        return cli_failed("synth", &error);
    if (json)
        return print_json(synth, folder, &report, seconds);
    printf("%s: %s, %.3f B parameters, %.3f GB in %" PRIu32 " file%s, written in %.1f s (%.2f GB/s)\n",
           folder, synth->shape, (double)report.parameters * 1e-9, (double)report.tensor_bytes * 1e-9,
           report.n_files, report.n_files == 1 ? "" : "s", seconds,
           (double)report.tensor_bytes * 1e-9 / seconds);
    return CLI_EXIT_OK;
}

int cli_synth(int argc, char **argv)
{
    const struct cli_spec spec = {
        .command = "synth",
        .arguments = "SHAPE [options] DIR",
        .about = about(),
        .options = options,
        .min_positional = 2,
        .max_positional = 2,
        .examples = "  llmind synth llama-3.2-1b --bits 4 /tmp/llama-1b\n"
                    "  llmind synth qwen3-30b-a3b --layers 4 --mode mxfp4 /tmp/moe\n"
                    "  llmind synth llama-3.1-8b --outliers /tmp/hard && llmind bench /tmp/hard\n",
    };
    struct synth_options synth = {0};
    struct cli_parser parser;
    bool json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        switch (id) {
        case ID_BITS:
            cli_u32(&parser, 2, 16, &synth.bits);
            break;
        case ID_GROUP:
            cli_u32(&parser, 16, 128, &synth.group_size);
            break;
        case ID_MODE:
            synth.mode = parser.value;
            break;
        case ID_OUTLIERS:
            synth.outliers = true;
            break;
        case ID_SEED:
            cli_u64(&parser, &synth.seed);
            break;
        case ID_LAYERS:
            cli_u32(&parser, 1, 512, &synth.n_layers);
            break;
        case ID_JSON:
            json = true;
            break;
        default:
            break;
        }
    }
    if (id < 0)
        return cli_leave(&parser, id);
    synth.shape = parser.positional[0];
    return write_model(&synth, parser.positional[1], json);
}
