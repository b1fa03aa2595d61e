/* Writes a random llama of a few hundred KB into a temporary folder, complete with tokenizer and chat
 * template.
 *
 * For tests that need a real model and neither its size nor its sense: byte-level BPE (every text can be
 * encoded; ids 0..255 are the bytes), a few merges, three special tokens, two layers, a
 * context of 2048. The same seed gives the same files. Functions are static inline so that a test only
 * includes this header: #include "support/tiny_model.h"
 */
#ifndef LLMIND_TESTS_TINY_MODEL_H
#define LLMIND_TESTS_TINY_MODEL_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/folder.h"

enum tiny_format { TINY_F32, TINY_BF16, TINY_4BIT /* affine, group 64 */ };

enum {
    TINY_HIDDEN = 64,
    TINY_INTERMEDIATE = 128,
    TINY_HEADS = 4,
    TINY_KV_HEADS = 2,
    TINY_HEAD_DIM = 16,
    TINY_LAYERS = 2,
    TINY_CONTEXT = 2048,
    TINY_BYTES = 256,
    TINY_MERGES = 8,
    TINY_END = TINY_BYTES + TINY_MERGES, /* <|end|>, the EOS token */
    TINY_USER,                           /* <|user|> */
    TINY_ASSISTANT,                      /* <|assistant|> */
    TINY_LONG,       /* with long_token: "x", then a three-byte character again and again */
    TINY_VOCAB = 288 /* of the model: more than the tokenizer has, as real ones are padded */
};

struct tiny_options {
    enum tiny_format format;
    uint64_t seed;
    int nan_logits;      /* the output matrix is filled with NaN */
    uint32_t long_token; /* characters of one very long token; 0: there is none */
};

struct tiny_writer {
    FILE *header, *data; /* JSON, tensor bytes: of the two below */
    char *header_text, *data_bytes;
    size_t header_size, data_size;
    uint64_t offset, state;
    enum tiny_format format;
    int n_tensors;
};

static inline float tiny_uniform(struct tiny_writer *writer)
{
    writer->state = writer->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (float)(int32_t)(uint32_t)(writer->state >> 32) * 0x1p-31f;
}

static inline uint16_t tiny_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x8000u) >> 16);
}

static inline void tiny_entry(struct tiny_writer *writer, const char *name, const char *suffix,
                              const char *dtype, uint32_t rows, uint32_t cols, uint64_t bytes)
{
    fprintf(writer->header, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%u", writer->n_tensors++ ? "," : "",
            name, suffix, dtype, rows);
    if (cols)
        fprintf(writer->header, ",%u", cols);
    fprintf(writer->header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)writer->offset,
            (unsigned long long)(writer->offset + bytes));
    writer->offset += bytes;
}

static inline void tiny_number(struct tiny_writer *writer, float value)
{
    uint16_t half = tiny_bf16(value);
    if (writer->format == TINY_F32)
        fwrite(&value, sizeof value, 1, writer->data);
    else
        fwrite(&half, sizeof half, 1, writer->data);
}

/* A dense matrix (cols 0: a vector) of base + uniform(-range, range). */
static inline void tiny_dense(struct tiny_writer *writer, const char *name, uint32_t rows, uint32_t cols,
                              float base, float range)
{
    uint64_t n = (uint64_t)rows * (cols ? cols : 1);
    int f32 = writer->format == TINY_F32;
    tiny_entry(writer, name, ".weight", f32 ? "F32" : "BF16", rows, cols, n * (f32 ? 4 : 2));
    for (uint64_t i = 0; i < n; i++)
        tiny_number(writer, base + range * tiny_uniform(writer));
}

/* A matrix whose product with a unit-variance input has about `gain` as standard deviation. */
static inline void tiny_matrix(struct tiny_writer *writer, const char *name, uint32_t rows, uint32_t cols,
                               float gain)
{
    float range = gain * sqrtf(3.0f / (float)cols);
    if (writer->format != TINY_4BIT) {
        tiny_dense(writer, name, rows, cols, 0, range);
        return;
    }
    uint64_t words = (uint64_t)rows * cols / 8, groups = (uint64_t)rows * cols / 64;
    tiny_entry(writer, name, ".weight", "U32", rows, cols / 8, words * 4);
    for (uint64_t i = 0; i < words; i++) {
        tiny_uniform(writer);
        uint32_t word = (uint32_t)(writer->state >> 32);
        fwrite(&word, sizeof word, 1, writer->data);
    }
    tiny_entry(writer, name, ".scales", "BF16", rows, cols / 64, groups * 2);
    for (uint64_t i = 0; i < groups; i++)
        tiny_number(writer, range / 7.5f);
    tiny_entry(writer, name, ".biases", "BF16", rows, cols / 64, groups * 2);
    for (uint64_t i = 0; i < groups; i++)
        tiny_number(writer, -range);
}

static inline void tiny_layer(struct tiny_writer *writer, int layer)
{
    static const struct {
        const char *name;
        uint32_t rows, cols; /* cols 0: a norm */
    } tensors[] = {
        {"input_layernorm", TINY_HIDDEN, 0},
        {"self_attn.q_proj", TINY_HEADS * TINY_HEAD_DIM, TINY_HIDDEN},
        {"self_attn.k_proj", TINY_KV_HEADS * TINY_HEAD_DIM, TINY_HIDDEN},
        {"self_attn.v_proj", TINY_KV_HEADS * TINY_HEAD_DIM, TINY_HIDDEN},
        {"self_attn.o_proj", TINY_HIDDEN, TINY_HEADS * TINY_HEAD_DIM},
        {"post_attention_layernorm", TINY_HIDDEN, 0},
        {"mlp.gate_proj", TINY_INTERMEDIATE, TINY_HIDDEN},
        {"mlp.up_proj", TINY_INTERMEDIATE, TINY_HIDDEN},
        {"mlp.down_proj", TINY_HIDDEN, TINY_INTERMEDIATE},
    };
    char name[128];
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s", layer, tensors[i].name);
        if (tensors[i].cols)
            tiny_matrix(writer, name, tensors[i].rows, tensors[i].cols, 1);
        else
            tiny_dense(writer, name, tensors[i].rows, 0, 1, 0.1f);
    }
}

static inline FILE *tiny_create(const char *folder, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        abort();
    }
    return file;
}

static inline void tiny_begin(struct tiny_writer *writer, enum tiny_format format, uint64_t seed)
{
    *writer = (struct tiny_writer){.format = format, .state = seed};
    writer->header = open_memstream(&writer->header_text, &writer->header_size);
    writer->data = open_memstream(&writer->data_bytes, &writer->data_size);
    fputc('{', writer->header);
}

/* Writes what was put together as a safetensors file. */
static inline void tiny_end(struct tiny_writer *writer, const char *folder, const char *name)
{
    fputc('}', writer->header);
    fflush(writer->header);
    while (writer->header_size % 8) {
        fputc(' ', writer->header);
        fflush(writer->header);
    }
    fclose(writer->header);
    fclose(writer->data);
    FILE *file = tiny_create(folder, name);
    uint64_t length = writer->header_size;
    fwrite(&length, sizeof length, 1, file);
    fwrite(writer->header_text, writer->header_size, 1, file);
    fwrite(writer->data_bytes, writer->data_size, 1, file);
    fclose(file);
    free(writer->header_text);
    free(writer->data_bytes);
}

static inline void tiny_weights(const char *folder, const struct tiny_options *options)
{
    struct tiny_writer writer;
    tiny_begin(&writer, options->format, options->seed);
    tiny_matrix(&writer, "model.embed_tokens", TINY_VOCAB, TINY_HIDDEN, 8);
    for (int layer = 0; layer < TINY_LAYERS; layer++)
        tiny_layer(&writer, layer);
    tiny_dense(&writer, "model.norm", TINY_HIDDEN, 0, 1, 0.1f);
    tiny_matrix(&writer, "lm_head", TINY_VOCAB, TINY_HIDDEN, options->nan_logits ? NAN : 3);
    tiny_end(&writer, folder, "model.safetensors");
}

/* The character GPT-2's byte-level BPE writes for a byte, as JSON. */
static inline void tiny_byte(FILE *file, int byte)
{
    int plain = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE,
        character = byte;
    if (!plain) {
        character = 256;
        for (int b = 0; b < byte; b++)
            character += !((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE);
    }
    fprintf(file, "\\u%04x", (unsigned)character);
}

static inline void tiny_tokenizer(const char *folder, const struct tiny_options *options)
{
    static const char *const merges[TINY_MERGES][2] = {{"t", "h"},  {"th", "e"}, {"i", "n"},  {"a", "n"},
                                                       {"an", "d"}, {"l", "l"},  {"e", "ll"}, {"o", "u"}};
    static const char *const special[] = {"<|end|>", "<|user|>", "<|assistant|>"};
    FILE *file = tiny_create(folder, "tokenizer.json");
    fputs("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[", file);
    for (int i = 0; i < 3; i++)
        fprintf(file,
                "%s{\"id\":%d,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                "\"normalized\":false,\"special\":true}",
                i ? "," : "", TINY_END + i, special[i]);
    if (options->long_token) {
        fprintf(file, ",{\"id\":%d,\"content\":\"x", TINY_LONG);
        for (uint32_t i = 1; i < options->long_token; i++)
            fputs("\\u4e2d", file);
        fputs("\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
              "\"special\":false}",
              file);
    }
    fputs(
        "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
        "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null,\"decoder\":{\"type\":"
        "\"ByteLevel\","
        "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\","
        "\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
        "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{",
        file);
    for (int byte = 0; byte < TINY_BYTES; byte++) {
        fputs(byte ? ",\"" : "\"", file);
        tiny_byte(file, byte);
        fprintf(file, "\":%d", byte);
    }
    for (int i = 0; i < TINY_MERGES; i++)
        fprintf(file, ",\"%s%s\":%d", merges[i][0], merges[i][1], TINY_BYTES + i);
    fputs("},\"merges\":[", file);
    for (int i = 0; i < TINY_MERGES; i++)
        fprintf(file, "%s\"%s %s\"", i ? "," : "", merges[i][0], merges[i][1]);
    fputs("]}}", file);
    fclose(file);
    file = tiny_create(folder, "tokenizer_config.json");
    fputs("{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"eos_token\":\"<|end|>\",\"chat_template\":"
          "\"{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
          "{% if add_generation_prompt %}<|assistant|>{% endif %}\"}",
          file);
    fclose(file);
}

static inline void tiny_config(const char *folder, const struct tiny_options *options)
{
    FILE *file = tiny_create(folder, "config.json");
    fprintf(file,
            "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":%d,"
            "\"intermediate_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":%d,"
            "\"num_key_value_heads\":%d,\"head_dim\":%d,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,"
            "\"vocab_size\":%d,\"max_position_embeddings\":%d,\"tie_word_embeddings\":false,"
            "\"hidden_act\":\"silu\",\"attention_bias\":false,\"mlp_bias\":false,\"eos_token_id\":%d,"
            "\"torch_dtype\":\"%s\"%s}",
            TINY_HIDDEN, TINY_INTERMEDIATE, TINY_LAYERS, TINY_HEADS, TINY_KV_HEADS, TINY_HEAD_DIM, TINY_VOCAB,
            TINY_CONTEXT, TINY_END, options->format == TINY_F32 ? "float32" : "bfloat16",
            options->format == TINY_4BIT ? ",\"quantization\":{\"group_size\":64,\"bits\":4}" : "");
    fclose(file);
    file = tiny_create(folder, "generation_config.json");
    fprintf(file,
            "{\"eos_token_id\":[%d],\"do_sample\":true,\"temperature\":0.8,\"top_k\":40,\"top_p\":0.95}",
            TINY_END);
    fclose(file);
}

/* Writes the model into a new folder under $TMPDIR or /tmp; its path goes to folder[0..capacity). */
static inline void tiny_model_write(const struct tiny_options *options, char *folder, size_t capacity)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, capacity, "%s/llmind-tiny-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
    tiny_config(folder, options);
    tiny_tokenizer(folder, options);
    tiny_weights(folder, options);
}

static inline void tiny_model_remove(const char *folder)
{
    folder_remove(folder);
}

#endif
