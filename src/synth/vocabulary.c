/* Ids 0 .. 255 are the bytes, so that any text can be encoded and comes back unchanged. Every further token
 * joins two earlier ones and is a word of up to three syllables ("ba", "bako", "bakori"), with and without
 * the space before it that BPE vocabularies write as "Ġ". In the order of the merges:
 *
 *     18 * 5 letters   b+a -> ba                  Ġ+ba -> Ġba
 *     90 * 90          Ġba+ko -> Ġbako            ba+ko -> bako
 *     90 * 90 * 90     Ġbako+ri -> Ġbakori        bako+ri -> bakori
 *
 * which is enough for 1.47 million tokens. Text written by a random model is gibberish that can be read
 * aloud. */
#include "synth/vocabulary.h"

#include <stdbool.h>
#include <string.h>

static const char consonants[] = "bcdfghjklmnprstvwz", vowels[] = "aeiou";
enum { N_BYTES = 256, N_SYLLABLES = 18 * 5 };

/* ---- special tokens ---- */

static const char *const llama_specials[] = {
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|reserved_special_token_0|>",
    "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>",
    "<|reserved_special_token_2|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
};
static const char *const mistral_specials[] = {"<s>", "</s>", "[INST]", "[/INST]"};
static const char *const qwen_specials[] = {
    "<|endoftext|>",  "<|im_start|>",   "<|im_end|>",      "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>",  "<|box_end|>",    "<|quad_start|>",  "<|quad_end|>",         "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",   "<|video_pad|>",        "<tool_call>",
    "</tool_call>",   "<|fim_prefix|>", "<|fim_middle|>",  "<|fim_suffix|>",       "<|fim_pad|>",
    "<|repo_name|>",  "<|file_sep|>",   "<tool_response>", "</tool_response>",     "<think>",
    "</think>",
};

void vocabulary_special(const struct synth_shape *shape, uint32_t id, char out[VOCABULARY_TOKEN_MAX])
{
    const char *const *names = qwen_specials;
    uint32_t n = sizeof qwen_specials / sizeof *qwen_specials, i = id - shape->first_special;
    if (shape->family == SYNTH_LLAMA) {
        names = llama_specials;
        n = sizeof llama_specials / sizeof *llama_specials;
    } else if (shape->family == SYNTH_MISTRAL) {
        names = mistral_specials;
        n = sizeof mistral_specials / sizeof *mistral_specials;
    }
    if (i < n)
        snprintf(out, VOCABULARY_TOKEN_MAX, "%s", names[i]);
    else
        snprintf(out, VOCABULARY_TOKEN_MAX, "<|reserved_special_token_%u|>", i - n + 3);
}

uint32_t vocabulary_find_special(const struct synth_shape *shape, const char *text)
{
    for (uint32_t id = shape->first_special; id < shape->vocab; id++) {
        char name[VOCABULARY_TOKEN_MAX];
        vocabulary_special(shape, id, name);
        if (strcmp(name, text) == 0)
            return id;
    }
    return shape->vocab;
}

/* ---- bytes and words ---- */

/* GPT-2's byte alphabet: printable bytes stand for themselves, the others, in order, for U+0100 and up. */
static uint32_t byte_character(uint32_t byte)
{
    uint32_t others = 0;
    for (uint32_t b = 0; b < N_BYTES; b++) {
        bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        if (b == byte)
            return printable ? b : N_BYTES + others;
        others += !printable;
    }
    return byte;
}

/* A byte's token as a JSON string's inside. */
static void write_byte_token(FILE *file, uint32_t byte)
{
    uint32_t character = byte_character(byte);
    if (character == '"' || character == '\\')
        fprintf(file, "\\%c", (int)character);
    else if (character < 0x80)
        fputc((int)character, file);
    else
        fprintf(file, "\\u%04x", character);
}

/* Token number i beyond the bytes, as the two parts that are merged. */
struct word {
    char left[VOCABULARY_TOKEN_MAX], right[8];
};

static void syllable(uint32_t i, char out[3])
{
    out[0] = consonants[i / 5];
    out[1] = vowels[i % 5];
    out[2] = 0;
}

/* Scatters the words of a tier over the alphabet, so that a small vocabulary is not all "ba". 90^n and the
 * step have no common divisor, so that every word comes exactly once. */
static uint32_t scatter(uint32_t i, uint32_t tier_size)
{
    return (uint32_t)((uint64_t)i * 40009 % tier_size);
}

static bool word_at(uint32_t i, struct word *word)
{
    static const char space[] = "\\u0120"; /* Ġ */
    char first[3], second[3], third[3];
    uint32_t tier = N_SYLLABLES;
    *word = (struct word){"", ""};
    for (uint32_t syllables = 1; syllables <= 3; syllables++, tier *= N_SYLLABLES) {
        for (int pass = 0; pass < 2; pass++, i -= tier) {
            if (i >= tier)
                continue;
            bool spaced =
                (pass == 0) == (syllables > 1); /* a bare syllable has to come before "Ġ" + syllable */
            uint32_t w = scatter(i, tier);
            syllable(w / (tier / N_SYLLABLES), first);
            syllable(w / (syllables > 2 ? N_SYLLABLES : 1) % N_SYLLABLES, second);
            syllable(w % N_SYLLABLES, third);
            if (syllables == 1 && !spaced) {
                word->left[0] = first[0];
                word->right[0] = first[1];
            } else {
                snprintf(word->left, sizeof word->left, "%s%s%s", spaced ? space : "",
                         syllables > 1 ? first : "", syllables > 2 ? second : "");
                snprintf(word->right, sizeof word->right, "%s",
                         syllables == 1 ? first : (syllables == 2 ? second : third));
            }
            return true;
        }
    }
    return false;
}

/* ---- tokenizer.json ---- */

/* How text is cut before merging: contractions, words with the space before them, up to three digits,
 * punctuation, line ends. The pattern is part of Llama 3's and Qwen's published tokenizer.json. */
static const char split_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+";

static void write_added_tokens(const struct synth_shape *shape, FILE *file)
{
    char name[VOCABULARY_TOKEN_MAX];
    for (uint32_t id = shape->first_special; id < shape->vocab; id++) {
        vocabulary_special(shape, id, name);
        fprintf(file,
                "%s{\"id\":%u,\"content\":\"%s\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                "\"normalized\":false,\"special\":true}",
                id > shape->first_special ? ",\n" : "", id, name);
    }
}

static void write_post_processor(const struct synth_shape *shape, FILE *file)
{
    static const char byte_level[] =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,\"use_regex\":true}";
    if (!synth_family_has_bos(shape->family)) {
        fputs(byte_level, file);
        return;
    }
    char bos[VOCABULARY_TOKEN_MAX];
    vocabulary_special(shape, shape->first_special, bos);
    fprintf(file,
            "{\"type\":\"Sequence\",\"processors\":[%s,{\"type\":\"TemplateProcessing\","
            "\"single\":[{\"SpecialToken\":{\"id\":\"%s\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_"
            "id\":0}}],"
            "\"pair\":[{\"SpecialToken\":{\"id\":\"%s\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_"
            "id\":0}},"
            "{\"SpecialToken\":{\"id\":\"%s\",\"type_id\":1}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
            "\"special_tokens\":{\"%s\":{\"id\":\"%s\",\"ids\":[%u],\"tokens\":[\"%s\"]}}}]}",
            byte_level, bos, bos, bos, bos, bos, shape->first_special, bos);
}

static int write_model(const struct synth_shape *shape, FILE *file, struct error *error)
{
    struct word word;
    fputs("{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
          "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\n"
          "\"vocab\":{",
          file);
    for (uint32_t id = 0; id < shape->first_special; id++) {
        fputs(id ? ",\n\"" : "\"", file);
        if (id < N_BYTES)
            write_byte_token(file, id);
        else if (word_at(id - N_BYTES, &word))
            fprintf(file, "%s%s", word.left, word.right);
        else
            return error_set(error, ERROR_LIMIT, "a vocabulary of %u is more than there are words for",
                             shape->vocab);
        fprintf(file, "\":%u", id);
    }
    fputs("},\n\"merges\":[", file);
    for (uint32_t id = N_BYTES; id < shape->first_special; id++) {
        word_at(id - N_BYTES, &word);
        fprintf(file, "%s[\"%s\",\"%s\"]", id > N_BYTES ? ",\n" : "", word.left, word.right);
    }
    fputs("]}", file);
    return 0;
}

int vocabulary_write(const struct synth_shape *shape, FILE *file, struct error *error)
{
    fputs("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\n\"added_tokens\":[", file);
    write_added_tokens(shape, file);
    fprintf(
        file,
        "],\n\"normalizer\":null,\n\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
        "\"Split\","
        "\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]},\n\"post_processor\":",
        split_pattern);
    write_post_processor(shape, file);
    fputs(",\n\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
          "\"use_regex\":true},\n\"model\":",
          file);
    int result = write_model(shape, file, error);
    fputs("}\n", file);
    return result;
}
