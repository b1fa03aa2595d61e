/* llmind convert: parses, hands on to convert/, shows progress. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/written.h"
#include "convert/convert.h"
#include "service/catalog.h"

enum {
    ID_BITS = 'b',
    ID_EMBEDDING = 'e',
    ID_GROUP = 'g',
    ID_MODE = 'm',
    ID_RECIPE = 'r',
    ID_DTYPE = 'd',
    ID_THREADS = 't',
    ID_JSON = 'j'
};

static const struct cli_option options[] = {
    {ID_BITS, 0, "bits", "N", "2 3 4 5 6 8, or 16: not quantized (default 4; mxfp8: 8)"},
    {ID_EMBEDDING, 0, "embedding-bits", "N", "of the embedding alone (default: as all others)"},
    {ID_GROUP, 0, "group-size", "N", "32 64 128 (default 64; mx formats 32)"},
    {ID_MODE, 0, "mode", "NAME", "affine, mxfp4, mxfp8 (default affine)"},
    {ID_RECIPE, 0, "recipe", "NAME", "mixed_2_6, mixed_3_4, mixed_3_6, mixed_4_6: more bits where it hurts"},
    {ID_DTYPE, 0, "dtype", "NAME", "bfloat16, float16, float32: of what is not coded, and of scales"},
    {ID_THREADS, 't', "threads", "N", "compute threads (default: as many as the process may use)"},
    {ID_JSON, 0, "json", NULL, "print what was written as JSON"},
    {0, 0, NULL, NULL, NULL}};

static int print_json(const char *folder, const struct convert_report *report, double seconds)
{
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:i, s:i, s:f}", "path", folder, "parameters", (json_int_t)report->parameters,
        "source_bytes", (json_int_t)report->source_bytes, "tensor_bytes", (json_int_t)report->tensor_bytes,
        "files", (int)report->n_files, "threads", (int)report->n_threads, "seconds", seconds);
    int failed = !object || json_dumpf(object, stdout, JSON_INDENT(2));
    json_decref(object);
    puts("");
    return failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int convert(const struct convert_options *wish, const char *model, const char *folder, bool json)
{
    struct error error = {0};
    struct convert_report report;
    struct written written;
    char source[PATH_MAX];
    if (catalog_resolve(model, source, sizeof source, &error))
        return cli_failed("convert", &error);
    written_begin(&written);
    int result = convert_model(wish, source, folder, written_progress, &written, &report, &error);
    double seconds = written_end(&written);
    if (result)
        return cli_failed("convert", &error);
    if (json)
        return print_json(folder, &report, seconds);
    printf("%s: %.3f B parameters, %.3f GB became %.3f GB in %" PRIu32
           " file%s (%.2f bits per weight), in %.1f s "
           "(%.2f GB/s read)\n",
           folder, (double)report.parameters * 1e-9, (double)report.source_bytes * 1e-9,
           (double)report.tensor_bytes * 1e-9, report.n_files, report.n_files == 1 ? "" : "s",
           8.0 * (double)report.tensor_bytes / (double)report.parameters, seconds,
           (double)report.source_bytes * 1e-9 / seconds);
    return CLI_EXIT_OK;
}

int cli_convert(int argc, char **argv)
{
    const struct cli_spec spec = {
        .command = "convert",
        .arguments = "MODEL [options] DIR",
        .about =
            "Makes an MLX checkpoint of a published one (bf16, f16 or f32 safetensors), quantized to few "
            "bits unless\n--bits 16. MODEL is a name from `llmind list`, or a folder. Its tensors are, "
            "bit for bit, those that mlx_lm.convert writes.",
        .options = options,
        .min_positional = 2,
        .max_positional = 2,
        .examples = "  llmind pull Qwen/Qwen3-0.6B && llmind convert Qwen/Qwen3-0.6B qwen3-4bit\n"
                    "  llmind convert ./checkpoint --recipe mixed_4_6 ./mixed\n"
                    "  llmind convert ./checkpoint --mode mxfp4 ./mxfp4\n",
    };
    struct convert_options wish = {0};
    struct cli_parser parser;
    bool json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        switch (id) {
        case ID_BITS:
            cli_u32(&parser, 2, 16, &wish.bits);
            break;
        case ID_EMBEDDING:
            cli_u32(&parser, 2, 8, &wish.embedding_bits);
            break;
        case ID_GROUP:
            cli_u32(&parser, 16, 128, &wish.group_size);
            break;
        case ID_MODE:
            wish.mode = parser.value;
            break;
        case ID_RECIPE:
            wish.recipe = parser.value;
            break;
        case ID_DTYPE:
            wish.dtype = parser.value;
            break;
        case ID_THREADS:
            cli_u32(&parser, 1, 1024, &wish.n_threads);
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
    return convert(&wish, parser.positional[0], parser.positional[1], json);
}
