"""Trains the byte-level BPE tokenizer on our corpus and writes the tokenizer and template files.

Digits are single tokens, so that figures can be copied and compared digit by digit.
"""
import json

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from corpus import build
from .common import BOS, BUILTIN, END_OF_TEXT, IM_END, SPECIAL

# Words with their leading space, one digit at a time, runs of punctuation, line ends.
SPLIT = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = """{{- bos_token -}}
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""


def texts(recipe):
    for item in build.items(recipe["seed"] - 1, recipe["tokenizer_items"]):
        if isinstance(item, str):
            yield item
        else:
            yield from (content for _, content in item)
    yield from ["system\n", "user\n", "assistant\n"]


def train(recipe, folder=BUILTIN):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=recipe["vocab_size"], special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts(recipe), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, 0)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": IM_END, "pad_token": END_OF_TEXT, "unk_token": None, "add_bos_token": True,
                "clean_up_tokenization_spaces": False, "model_max_length": recipe["context"], "chat_template": TEMPLATE,
                "added_tokens_decoder": {str(i): {"content": s, "special": True, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False} for i, s in enumerate(SPECIAL)}}
    write = lambda name, value: (folder / name).write_text(json.dumps(value, indent=2) + "\n")
    write("tokenizer_config.json", settings)
    write("special_tokens_map.json", {"bos_token": BOS, "eos_token": IM_END, "pad_token": END_OF_TEXT})
    write("generation_config.json", {"bos_token_id": 0, "eos_token_id": [3, 1], "pad_token_id": 1, "do_sample": True, "temperature": 0.3, "top_p": 0.9, "max_new_tokens": 256})
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    print(f"tokenizer: {tokenizer.get_vocab_size()} tokens")
    return tokenizer
