/* Model folders that lie, are cut, or are damaged, and are then used as far as they open. The sanitizer build
 * of this program is the real test: whatever opens must be safe to read to its last byte. */
#include "support/model_fixture.h"

static void make_llama(struct fixture *fixture)
{
    fixture_begin(fixture);
    fixture_tensors(fixture, (struct fixture_shape){0});
    fixture_text(fixture, "config.json", FIXTURE_LLAMA);
    fixture_save(fixture, "model.safetensors");
}

static void make_moe(struct fixture *fixture)
{
    fixture_begin(fixture);
    fixture_tensors(fixture, (struct fixture_shape){.experts = true, .qk_norm = true, .tied = true});
    fixture_text(fixture, "config.json",
                 "{\"model_type\":\"qwen3_moe\"," FIXTURE_DIMENSIONS "," FIXTURE_MOE
                 ",\"tie_word_embeddings\":true," FIXTURE_QUANTIZATION "}");
    fixture_save(fixture, "model.safetensors");
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void test_truncation(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    size_t length;
    make_llama(&fixture);
    uint8_t *file = fixture_file(&fixture, &length);
    int places = 0;
    for (size_t cut = 0; cut < length; cut += 1 + length / 400, places++) {
        fixture_write(&fixture, "model.safetensors", file, cut);
        assert_int_not_equal(fixture_open_and_use(&fixture, &error), 0);
    }
    assert_true(places >= 200);
    for (size_t cut = length - 8; cut < length; cut++) {
        fixture_write(&fixture, "model.safetensors", file, cut);
        assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_INVALID);
    }
    fixture_write(&fixture, "model.safetensors", file, length);
    assert_int_equal(fixture_open_and_use(&fixture, &error), 0);
    free(file);
    fixture_end(&fixture);
}

static void flip_header(struct fixture *fixture, size_t step)
{
    struct error error;
    size_t length, places = 0, opened = 0;
    uint8_t *file = fixture_file(fixture, &length);
    uint32_t random = 1;
    for (size_t at = 0; at < 8 + fixture->header_length + 1; at += step, places++) {
        uint8_t bit = (uint8_t)(1u << (next_random(&random) % 8));
        file[at] ^= bit;
        fixture_write(fixture, "model.safetensors", file, length);
        opened += fixture_open_and_use(fixture, &error) == 0;
        file[at] ^= bit;
    }
    assert_true(places >= 200);
    assert_true(opened < places / 4); /* only flips in __metadata__ and the like can be harmless */
    free(file);
}

static void test_bit_flips_in_header(void **state)
{
    (void)state;
    struct fixture fixture;
    make_llama(&fixture);
    flip_header(&fixture, 7);
    fixture_end(&fixture);
    make_moe(&fixture);
    flip_header(&fixture, 11);
    fixture_end(&fixture);
}

static void test_bit_flips_in_data(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    size_t length;
    make_llama(&fixture);
    uint8_t *file = fixture_file(&fixture, &length);
    uint32_t random = 2;
    for (int i = 0; i < 50; i++) {
        size_t start = 8 + fixture.header_length + 1;
        size_t at = start + next_random(&random) % (length - start);
        file[at] ^= (uint8_t)(1u << (next_random(&random) % 8));
        fixture_write(&fixture, "model.safetensors", file, length);
        assert_int_equal(fixture_open_and_use(&fixture, &error), 0);
    }
    free(file);
    fixture_end(&fixture);
}

static void test_bit_flips_in_config(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    char config[] = FIXTURE_LLAMA;
    make_llama(&fixture);
    int places = 0;
    for (size_t at = 0; at + 1 < sizeof config; at++)
        for (int bit = 0; bit < 8; bit += 2, places++) {
            config[at] = (char)(config[at] ^ (1 << bit));
            fixture_write(&fixture, "config.json", config, sizeof config - 1);
            fixture_open_and_use(&fixture, &error);
            config[at] = (char)(config[at] ^ (1 << bit));
        }
    assert_true(places >= 200);
    for (size_t cut = 0; cut + 1 < sizeof config; cut++) {
        fixture_write(&fixture, "config.json", config, cut);
        assert_int_not_equal(fixture_open_and_use(&fixture, &error), 0);
    }
    fixture_end(&fixture);
}

/* Bytes overwritten, digits exchanged, pieces repeated or dropped, several at a time. */
static void mutate(uint8_t *bytes, size_t *length, size_t from, uint32_t *random)
{
    for (uint32_t n = 1 + next_random(random) % 3; n > 0; n--) {
        size_t at = from + next_random(random) % (*length - from);
        size_t span = 1 + next_random(random) % 12;
        if (at + span > *length)
            span = *length - at;
        switch (next_random(random) % 4) {
        case 0:
            bytes[at] = (uint8_t)next_random(random);
            break;
        case 1:
            bytes[at] = (uint8_t)("0123456789{}[]:,\"-e.tfn\\"[next_random(random) % 24]);
            break;
        case 2:
            memmove(bytes + at, bytes + at + span, *length - at - span);
            *length -= span;
            break;
        default:
            memmove(bytes + at, bytes + from, span < at - from ? span : at - from);
            break;
        }
    }
}

static void test_random_mutations(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    size_t length;
    make_moe(&fixture);
    uint8_t *file = fixture_file(&fixture, &length);
    uint8_t *copy = malloc(length);
    assert_non_null(copy);
    uint32_t random = 3;
    const char *rounds = getenv("LLMIND_FUZZ_ROUNDS");
    for (long round = rounds ? strtol(rounds, NULL, 10) : 500; round > 0; round--) {
        size_t header = 8 + fixture.header_length + 1, shortened = header;
        memcpy(copy, file, length);
        mutate(copy, &shortened, 8, &random);
        memmove(copy + shortened, file + header, length - header);
        uint64_t stated = shortened - 8; /* a header length that fits, so that the rest is reached */
        for (int i = 0; i < 8; i++)
            copy[i] = (uint8_t)(stated >> (8 * i));
        fixture_write(&fixture, "model.safetensors", copy, length - header + shortened);
        fixture_open_and_use(&fixture, &error);
    }
    free(copy);
    free(file);
    fixture_end(&fixture);
}

/* config.json with one field replaced: `from` must occur. */
static int open_with(struct fixture *fixture, const char *config, const char *from, const char *to,
                     struct error *error)
{
    char text[4096];
    const char *at = strstr(config, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
    fixture_text(fixture, "config.json", text);
    return fixture_open_and_use(fixture, error);
}

static void test_absurd_dimensions(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"\"hidden_size\":64", "\"hidden_size\":0", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":-64", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":4294967360", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":64.0", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":\"64\"", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":[64]", "hidden_size"},
        {"\"hidden_size\":64", "\"hidden_size\":null", "hidden_size is missing"},
        {"\"hidden_size\":64", "\"hidden_size\":128", "input_layernorm.weight has shape [64]"},
        {"\"hidden_size\":64,", "\"hidden_size\":64,\"hidden_size\":64,", "duplicate"},
        {"\"hidden_size\":64", "\"hidden_size\":99999999999999999999", "not valid JSON"},
        {"\"num_hidden_layers\":2", "\"num_hidden_layers\":0", "num_hidden_layers"},
        {"\"num_hidden_layers\":2", "\"num_hidden_layers\":1000000000", "num_hidden_layers"},
        {"\"num_hidden_layers\":2", "\"num_hidden_layers\":1024", "layers.2"},
        {"\"num_hidden_layers\":2", "\"num_hidden_layers\":1", "belongs to nothing"},
        {"\"num_attention_heads\":4", "\"num_attention_heads\":3", "num_key_value_heads"},
        {"\"num_attention_heads\":4", "\"num_attention_heads\":0", "num_attention_heads"},
        {"\"num_key_value_heads\":2", "\"num_key_value_heads\":0", "num_key_value_heads"},
        {"\"num_key_value_heads\":2", "\"num_key_value_heads\":8", "num_key_value_heads"},
        {"\"head_dim\":16", "\"head_dim\":15", "head_dim"},
        {"\"head_dim\":16", "\"head_dim\":1000000", "head_dim"},
        {"\"head_dim\":16", "\"head_dim\":18", "q_proj"},
        {"\"intermediate_size\":128", "\"intermediate_size\":4294967295", "intermediate_size"},
        {"\"intermediate_size\":128", "\"intermediate_size\":64", "mlp"},
        {"\"vocab_size\":96", "\"vocab_size\":2147483648", "vocab_size"},
        {"\"vocab_size\":96", "\"vocab_size\":16777216", "embed_tokens"},
        {"\"vocab_size\":96", "\"vocab_size\":97", "embed_tokens"},
        {"\"max_position_embeddings\":256", "\"max_position_embeddings\":0", "max_position_embeddings"},
        {"\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":NaN", "not valid JSON"},
        {"\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":1e999", "not valid JSON"},
        {"\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":-1", "rms_norm_eps"},
        {"\"rms_norm_eps\":1e-5", "\"rms_norm_eps\":{\"__float__\":\"NaN\"}", "rms_norm_eps"},
        {"\"rms_norm_eps\":1e-5,", "", "rms_norm_eps is missing"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":0", "rope_theta"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":1e300", "rope_theta"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"magic\"}",
         "rope type magic"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"su\"}",
         "long_factor"},
        {"\"rope_theta\":10000.0",
         "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,-1]}", "long_factor"},
        {"\"rope_theta\":10000.0",
         "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,2,3]}", "in pairs"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"linear\"}", "factor"},
        {"\"rope_theta\":10000.0",
         "\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}", "factor"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"rope_scaling\":7", "rope_scaling"},
        {"\"rope_theta\":10000.0",
         "\"rope_theta\":10000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
         "\"low_freq_factor\":4,\"high_freq_factor\":4}",
         "high_freq_factor"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"hidden_act\":\"relu\"", "hidden_act"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"model_file\":\"evil.py\"", "model_file"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"attention_bias\":true", "q_proj.bias"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"attention_bias\":\"yes\"", "attention_bias"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"layer_types\":[\"full_attention\"]",
         "layer_types"},
        {"\"rope_theta\":10000.0",
         "\"rope_theta\":10000.0,\"layer_types\":[\"full_attention\",\"sliding_attention\"]",
         "sliding_window"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"layer_types\":[1,2]", "layer_types"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"partial_rotary_factor\":0.01", "in pairs"},
        {"\"rope_theta\":10000.0", "\"rope_theta\":10000.0,\"partial_rotary_factor\":2", "partial_rotary"},
    };
    struct fixture fixture;
    struct error error;
    make_llama(&fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (open_with(&fixture, FIXTURE_LLAMA, cases[i][0], cases[i][1], &error) == 0)
            fail_msg("accepted %s", cases[i][1]);
        if (!strstr(error.message, cases[i][2]))
            fail_msg("%s: the message is: %s", cases[i][1], error.message);
    }
    fixture_end(&fixture);
}

static void test_quantization_nonsense(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"group_size\":32,\"bits\":7}", "7 bits"},
        {"{\"group_size\":48,\"bits\":4}", "groups of 48"},
        {"{\"group_size\":32,\"bits\":4,\"mode\":\"magic\"}", "mode"},
        {"{\"group_size\":32,\"bits\":4,\"mode\":4}", "mode"},
        {"{\"group_size\":64,\"bits\":4,\"mode\":\"mxfp4\"}", "mxfp4"},
        {"{\"group_size\":16,\"bits\":4,\"mode\":\"mxfp8\"}", "mxfp8"},
        {"{\"group_size\":-32,\"bits\":4}", "group_size"},
        {"{\"group_size\":32,\"bits\":4,\"lm_head\":false}", "lm_head"},
        {"{\"group_size\":32,\"bits\":4,\"lm_head\":{\"group_size\":32,\"bits\":8}}", "lm_head"},
        {"{\"group_size\":32,\"bits\":4,\"lm_head\":{\"group_size\":64,\"bits\":4}}", "lm_head"},
        {"{\"group_size\":32,\"bits\":4,\"lm_head\":{\"group_size\":32,\"bits\":4,\"mode\":\"mxfp4\"}}",
         "lm_head"},
        {"{\"group_size\":32,\"bits\":4,\"no.such.module\":{\"bits\":1000}}", "no.such.module"},
        {"{\"group_size\":64,\"bits\":4,\"lm_head\":true}", "lm_head"},
        {"[]", "quantization"},
        {"4", "quantization"},
        {"null", "no quantization"},
    };
    struct fixture fixture;
    struct error error;
    make_llama(&fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (open_with(&fixture, FIXTURE_LLAMA, "{\"group_size\":32,\"bits\":4}", cases[i][0], &error) == 0)
            fail_msg("accepted %s", cases[i][0]);
        if (!strstr(error.message, cases[i][1]))
            fail_msg("%s: the message is: %s", cases[i][0], error.message);
    }
    /* Not known to mlx-lm's loader either, and harmless. */
    assert_int_equal(open_with(&fixture, FIXTURE_LLAMA, "\"bits\":4}",
                               "\"bits\":4,\"note\":\"x\",\"lm_head\":{\"group_size\":32,\"bits\":4}}",
                               &error),
                     0);
    assert_int_equal(
        open_with(&fixture, FIXTURE_LLAMA, "\"quantization\":", "\"quantization_config\":", &error), 0);
    assert_int_equal(open_with(&fixture, FIXTURE_LLAMA, FIXTURE_QUANTIZATION,
                               "\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4}", &error),
                     ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "awq"));
    fixture_end(&fixture);
}

/* A file with this header and this many bytes of data. */
static int open_header(struct fixture *fixture, const char *header, size_t data_bytes, struct error *error)
{
    size_t header_length = strlen(header), length = 8 + header_length + data_bytes;
    uint8_t *file = calloc(1, length);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)header_length >> (8 * i));
    memcpy(file + 8, header, header_length);
    fixture_write(fixture, "model.safetensors", file, length);
    free(file);
    return fixture_open_and_use(fixture, error);
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header, *message;
        size_t data_bytes;
    } cases[] = {
        {"{}", "no tensor", 0},
        {"[]", "must be a JSON object", 0},
        {"{\"a\":1}", "not an object", 0},
        {"{\"a\":{}}", "dtype", 0},
        {"{\"\":{}}", "name", 0},
        {"{\"a\":{\"dtype\":\"F32\"}}", "shape", 0},
        {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown dtype Q4", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "data_offsets", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "outside", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", "outside", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", "data_offsets", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4.0]}}", "data_offsets", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "do not match", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", "outside", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", "outside", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,4]}}", "overflows",
         4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,1073741824,4],\"data_offsets\":[0,0]}}",
         "overflows", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "whole numbers", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "at most 8", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "after the last tensor", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "unused bytes", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "overlap", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "duplicate", 8},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "not valid JSON", 4},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
         "nested", 0},
        {"{\"a\xff\":1}", "not valid JSON", 0},
    };
    struct fixture fixture;
    struct error error;
    make_llama(&fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (open_header(&fixture, cases[i].header, cases[i].data_bytes, &error) == 0)
            fail_msg("accepted %s", cases[i].header);
        if (!strstr(error.message, cases[i].message))
            fail_msg("%s: the message is: %s", cases[i].header, error.message);
    }
    static const uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    fixture_write(&fixture, "model.safetensors", huge, sizeof huge);
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_INVALID);
    fixture_end(&fixture);
}

static void test_json_bombs(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    size_t length = 12u << 20;
    char *text = malloc(length + 1);
    assert_non_null(text);
    make_llama(&fixture);
    memset(text, '[', length);
    text[length] = '\0';
    fixture_text(&fixture, "config.json", text);
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_LIMIT);
    for (size_t i = 0; i + 2 < length; i += 3)
        memcpy(text + i, "[],", 3);
    memcpy(text, "{\"a\":[", 6);
    fixture_text(&fixture, "config.json", text);
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_LIMIT);
    free(text);
    fixture_end(&fixture);
}

static void test_absent_files(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    struct model *model = NULL;
    assert_int_equal(model_open("/tmp/llmind-no-such-folder", &model, &error), ERROR_NOT_FOUND);
    assert_int_equal(model_open("", &model, &error), ERROR_NOT_FOUND);
    make_llama(&fixture);
    char path[300];
    snprintf(path, sizeof path, "%s/config.json", fixture.folder);
    assert_int_not_equal(model_open(path, &model, &error), 0);
    fixture_remove(&fixture, "model.safetensors");
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "safetensors"));
    fixture_remove(&fixture, "config.json");
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "config.json"));
    fixture_end(&fixture);
}

static void test_architectures(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    make_llama(&fixture);
    assert_int_equal(open_with(&fixture, FIXTURE_LLAMA, "\"llama\"", "\"mamba\"", &error), ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "mamba"));
    assert_non_null(strstr(error.message, model_supported_architectures()));
    assert_int_equal(open_with(&fixture, FIXTURE_LLAMA, "\"llama\"", "7", &error), ERROR_INVALID);
    assert_int_equal(open_with(&fixture, FIXTURE_LLAMA, "\"model_type\":\"llama\",", "", &error),
                     ERROR_INVALID);
    fixture_end(&fixture);
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"\"model.norm.weight\":{\"dtype\":\"BF16\"", "\"model.norm.weight\":{\"dtype\":\"I16\"", "I16"},
        {"\"model.norm.weight\"", "\"model.Norm.weight\"", "no tensor model.norm.weight"},
        {"\"lm_head.biases\"", "\"lm_head.biasez\"", "lm_head.biases"},
        {"\"lm_head.scales\"", "\"lm_head.scalez\"", "lm_head.weight"},
        {"\"lm_head.weight\":{\"dtype\":\"U32\"", "\"lm_head.weight\":{\"dtype\":\"F32\"",
         "F32, must be U32"},
        {"\"lm_head.scales\":{\"dtype\":\"BF16\"", "\"lm_head.scales\":{\"dtype\":\"U16\"", "lm_head"},
        {"\"lm_head.biases\":{\"dtype\":\"BF16\"", "\"lm_head.biases\":{\"dtype\":\"F16\"", "lm_head.biases"},
        {"\"lm_head.weight\":{\"dtype\":\"U32\",\"shape\":[96,8]",
         "\"lm_head.weight\":{\"dtype\":\"U32\",\"shape\":[8,96]", "lm_head"},
        {"\"lm_head.weight\":{\"dtype\":\"U32\",\"shape\":[96,8]",
         "\"lm_head.weight\":{\"dtype\":\"U32\",\"shape\":[768]", "lm_head"},
        {"\"lm_head.scales\":{\"dtype\":\"BF16\",\"shape\":[96,2]",
         "\"lm_head.scales\":{\"dtype\":\"BF16\",\"shape\":[192]", "lm_head"},
        {"\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[64]",
         "\"model.norm.weight\":{\"dtype\":\"BF16\",\"shape\":[8,8]", "model.norm.weight"},
    };
    struct fixture fixture;
    struct error error;
    make_llama(&fixture);
    char *good = strdup(fixture.header);
    assert_non_null(good);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(good, cases[i][0]);
        assert_non_null(at);
        fixture.header_length = (size_t)snprintf(fixture.header, 1 << 20, "%.*s%s%s", (int)(at - good), good,
                                                 cases[i][1], at + strlen(cases[i][0]));
        fixture_save(&fixture, "model.safetensors");
        if (fixture_open_and_use(&fixture, &error) == 0)
            fail_msg("accepted %s", cases[i][1]);
        if (!strstr(error.message, cases[i][2]))
            fail_msg("%s: the message is: %s", cases[i][1], error.message);
    }
    free(good);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_bit_flips_in_header),
        cmocka_unit_test(test_bit_flips_in_data),
        cmocka_unit_test(test_bit_flips_in_config),
        cmocka_unit_test(test_random_mutations),
        cmocka_unit_test(test_absurd_dimensions),
        cmocka_unit_test(test_quantization_nonsense),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_json_bombs),
        cmocka_unit_test(test_absent_files),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_wrong_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
