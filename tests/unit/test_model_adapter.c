/* Adapters where no logits are needed: what is told of one, that its file is let go, and what the decoder's
 * writer refuses. That the logits are mlx's is tests/golden/test_adapters.py's. */
#include "support/tiny_adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "model/families/decoder_ops.h"
#include "model/model.h"

static char folder[256], adapter[256];

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 3};
    tiny_model_write(&options, folder, sizeof folder);
    tiny_adapter_write(4, adapter, sizeof adapter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    tiny_adapter_remove(adapter);
    return 0;
}

static struct model *open_it(const char *with)
{
    struct model *model = NULL;
    struct error error = {0};
    if (model_open_adapted(folder, with, &model, &error))
        fail_msg("%s", error.message);
    return model;
}

static void it_is_named_by_the_last_part_of_its_path(void **state)
{
    (void)state;
    char path[300];
    static const char *const ends[] = {"", "/", "//"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", adapter, ends[i]);
        struct model *model = open_it(path);
        assert_string_equal(model_info(model)->adapter, tiny_adapter_name(adapter));
        assert_string_equal(model_info(model)->quantization, "bf16, LoRA of rank 2");
        model_close(model);
    }
    struct model *model = open_it(NULL);
    assert_null(model_info(model)->adapter);
    model_close(model);
}

/* -1: this system does not tell. */
static int is_mapped(const char *name)
{
    char line[1024];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps)
        return -1;
    while (fgets(line, sizeof line, maps))
        found |= strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

static const struct weight *weight_of(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (strcmp(plan->ops[i].name, name) == 0)
            return plan->ops[i].linear.weight;
    fail_msg("there is no operation %s", name);
    return NULL;
}

static void its_file_is_let_go_and_its_numbers_stay(void **state)
{
    (void)state;
    struct model *model = open_it(adapter);
    if (is_mapped("model.safetensors") >= 0) {
        assert_int_equal(is_mapped("model.safetensors"), 1); /* or the next line would say nothing */
        assert_int_equal(is_mapped("adapters.safetensors"), 0);
    }
    const struct weight *a = weight_of(model_plan(model), "layers.0.self_attn.q_proj.lora_a");
    assert_string_equal(a->name, "model.layers.0.self_attn.q_proj.lora_a");
    assert_int_equal(a->rows, TINY_RANK);
    assert_int_equal(a->cols, TINY_HIDDEN);
    struct tiny_writer random = {.state = 4};
    const float *numbers = (const float *)(const void *)a->data;
    for (uint32_t col = 0; col < TINY_HIDDEN; col++) /* the file has [cols, rows] */
        for (uint32_t row = 0; row < TINY_RANK; row++)
            assert_true(numbers[row * TINY_HIDDEN + col] == 0.1f * tiny_uniform(&random));
    model_close(model);
}

static void numbers_of_every_type(void **state)
{
    (void)state;
    /* one byte in, as mappings are: 1.5 and -2 */
    static const uint8_t f32[] = {0, 0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0};
    static const uint8_t f16[] = {0, 0, 0x3E, 0, 0xC0};
    static const uint8_t bf16[] = {0, 0xC0, 0x3F, 0, 0xC0};
    const struct tensor tensors[] = {{.type = TENSOR_F32, .data = f32 + 1},
                                     {.type = TENSOR_F16, .data = f16 + 1},
                                     {.type = TENSOR_BF16, .data = bf16 + 1}};
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        assert_true(tensor_number(&tensors[i], 0) == 1.5f);
        assert_true(tensor_number(&tensors[i], 1) == -2);
    }
}

/* Or its change would be missing from every answer, and nothing would say so. */
static void a_layer_too_many_is_an_error(void **state)
{
    (void)state;
    static const char *const layers[DECODER_MAX_WAITING] = {"self_attn.q_proj", "self_attn.k_proj",
                                                            "self_attn.v_proj"};
    struct arena arena;
    struct error error = {0};
    struct plan_builder builder;
    struct decoder decoder;
    struct quantization quantization = {0};
    struct model_spec spec = {.hidden = TINY_HIDDEN};
    struct adapter lora = {.arena = &arena, .rank = TINY_RANK, .scale = 1};
    arena_init(&arena);
    struct weights weights = {
        .type = SCALAR_BF16, .quantization = &quantization, .arena = &arena, .error = &error};
    plan_builder_init(&builder, &arena, &error);
    decoder_init(&decoder, &builder, &weights, &spec, "");
    decoder.adapter = &lora;
    struct plan_view in = plan_slot(&builder, "in", TINY_HIDDEN, DOMAIN_TOKENS),
                     out = plan_slot(&builder, "out", TINY_HIDDEN, DOMAIN_TOKENS);
    builder.layer = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < DECODER_MAX_WAITING; i++)
            decoder_projection(&decoder, layers[i], false, in, out);
        assert_int_equal(weights.status, 0);
        if (round == 0)
            decoder_adapt(&decoder); /* room again */
    }
    decoder_projection(&decoder, "self_attn.o_proj", false, in, out);
    assert_int_equal(weights.status, ERROR_INTERNAL);
    assert_non_null(strstr(error.message, "model.layers.0.self_attn.o_proj"));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_named_by_the_last_part_of_its_path),
        cmocka_unit_test(its_file_is_let_go_and_its_numbers_stay),
        cmocka_unit_test(numbers_of_every_type),
        cmocka_unit_test(a_layer_too_many_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
