"""A LoRA adapter in mlx-lm's form, written without mlx: of rank 2, for one layer."""

import array
import json
import struct


def write_adapter(folder, width=512, module="model.layers.0.self_attn.q_proj"):
    """For the built-in model, unless width (in and out) and module say otherwise."""
    rank, header, data = 2, {}, b""
    for name, shape in ((f"{module}.lora_a", [width, rank]), (f"{module}.lora_b", [rank, width])):
        numbers = array.array("f", [0.01 * (i % 7 - 3) for i in range(shape[0] * shape[1])]).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header).encode()
    folder.mkdir(parents=True)
    (folder / "adapters.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "adapter_config.json").write_text(
        json.dumps({"fine_tune_type": "lora", "lora_parameters": {"rank": rank, "scale": 2.0}})
    )
    return folder
