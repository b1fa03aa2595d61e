"""The Llama architecture in plain PyTorch, with the weight names that every loader knows, and the
affine quantization of MLX as a function, so that training can feel what 4 bits will do."""
import torch
import torch.nn.functional as F
from torch import nn


def fake_quantize(weight, bits, group):
    """`weight` after MLX's affine quantization and back. As in MLX, the end of larger magnitude is hit
    exactly and zero stays representable; scale and bias are stored in bf16."""
    w = weight.bfloat16().float().reshape(-1, group)
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    levels = 2**bits - 1
    scale = ((high - low) / levels).clamp_min(1e-7)
    low_is_edge = low.abs() > high.abs()
    scale = torch.where(low_is_edge, scale, -scale)
    edge = torch.where(low_is_edge, low, high)
    zero = torch.round(edge / scale)
    scale = torch.where(zero == 0, scale, edge / torch.where(zero == 0, 1, zero))
    bias = torch.where(zero == 0, 0, edge)
    q = torch.round((w - bias) / scale).clamp(0, levels)
    return (q * scale.bfloat16().float() + bias.bfloat16().float()).reshape(weight.shape).to(weight.dtype)


class Norm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.h, self.kv, self.d = r["heads"], r["kv_heads"], r["head_dim"]
        self.q_proj = nn.Linear(r["hidden_size"], self.h * self.d, bias=False)
        self.k_proj = nn.Linear(r["hidden_size"], self.kv * self.d, bias=False)
        self.v_proj = nn.Linear(r["hidden_size"], self.kv * self.d, bias=False)
        self.o_proj = nn.Linear(self.h * self.d, r["hidden_size"], bias=False)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        q = self.q_proj(x).view(b, t, self.h, self.d).transpose(1, 2)
        k = self.k_proj(x).view(b, t, self.kv, self.d).transpose(1, 2)
        v = self.v_proj(x).view(b, t, self.kv, self.d).transpose(1, 2)
        turn = lambda y: (y * cos + torch.cat((-y[..., self.d // 2:], y[..., : self.d // 2]), -1) * sin).to(v.dtype)
        y = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, self.h * self.d))


class Mlp(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.gate_proj = nn.Linear(r["hidden_size"], r["intermediate_size"], bias=False)
        self.up_proj = nn.Linear(r["hidden_size"], r["intermediate_size"], bias=False)
        self.down_proj = nn.Linear(r["intermediate_size"], r["hidden_size"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(r["hidden_size"], r["rms_norm_eps"]), Norm(r["hidden_size"], r["rms_norm_eps"])
        self.self_attn, self.mlp, self.dropout = Attention(r), Mlp(r), nn.Dropout(r["dropout"])

    def forward(self, x, cos, sin):
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), cos, sin))
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x)))


class Body(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.embed_tokens = nn.Embedding(r["vocab_size"], r["hidden_size"])
        self.layers = nn.ModuleList(Layer(r) for _ in range(r["layers"]))
        self.norm = Norm(r["hidden_size"], r["rms_norm_eps"])


class Llama(nn.Module):
    def __init__(self, r):
        super().__init__()
        self.model = Body(r)
        angles = torch.arange(r["context"])[:, None] / r["rope_theta"] ** (torch.arange(0, r["head_dim"], 2) / r["head_dim"])
        angles = torch.cat((angles, angles), -1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:  # the two projections that write to the residual stream start smaller
                nn.init.normal_(p, std=0.02 / (2 * r["layers"]) ** 0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02)

    def forward(self, ids):
        """ids [rows, tokens] -> logits [rows, tokens, vocabulary]."""
        x = self.model.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight)

    def quantized_weights(self, r):
        """[(parameter, bits)] of everything that is stored quantized."""
        return [(p, r["embedding_bits"] if "embed_tokens" in name else r["bits"]) for name, p in self.named_parameters() if p.ndim == 2]
