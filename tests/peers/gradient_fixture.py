"""Write the golden gradients, logits and greedy tokens that the trainer is tested against.

For every family the trainer knows: a tiny random model, one right-padded batch of four rows with a
masked prompt, the loss and every gradient that PyTorch (full training) and PEFT (LoRA) find for it, the
logits of the first row, and greedy continuations, in one safetensors file per family. Everything is
float32, attention is the plain ("eager") one.

    python tests/peers/gradient_fixture.py [FOLDER] [FAMILY ...]

FOLDER is `tests/fixtures/gradients` where absent; without a FAMILY all of them are made. Tensors, with
`<name>` as in a Hugging Face folder and `<module>` like `model.layers.0.self_attn.q_proj`:

    weights/<name>                    the base model; there is no lm_head where it is tied
    lora/<module>.lora_A.weight       [r, in]
    lora/<module>.lora_B.weight       [out, r], not zero
    batch/input_ids, batch/labels     [rows, tokens] int64; labels are not shifted, -100 is masked
    lengths                           [rows] int64, tokens of each row before the padding
    loss/full, loss/lora              [1], mean over the tokens that count
    logits/full, logits/lora          [tokens, vocabulary] of the first row
    grad_full/<name>                  of the base model's loss
    grad_lora/<module>.lora_[AB].weight
    greedy/prompts                    [prompts, 6] int64
    greedy/full, greedy/lora          [prompts, 40] int64, new tokens only; nothing ends them early

Header metadata: `config` (text of a config.json), `lora` (r and alpha), `versions`.
"""

import json
import platform
import sys
from pathlib import Path

import numpy
import peft
import safetensors
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SEED = 20250
RANK, ALPHA = 4, 8
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# Row lengths and how many tokens of each row are its (masked) prompt.
LENGTHS = [24, 15, 19, 9]
PROMPTS = [10, 7, 12, 2]
PAD = 0

NEW_TOKENS = 40

# Sizes that are no multiple of a vector width (28, 50) are deliberate: they reach the tails of
# kernels. A rope_theta other than the default shows whether the value was read at all; windows shorter
# than the rows show whether they are kept.
COMMON = {
    "hidden_size": 32,
    "intermediate_size": 28,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 50,
    "max_position_embeddings": 64,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000.0,
    "attention_bias": False,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 3,
    "pad_token_id": PAD,
    "torch_dtype": "float32",
}
LLAMA = COMMON | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "mlp_bias": False}
FAMILIES = {
    "llama": LLAMA,
    "llama3": LLAMA
    | {
        "tie_word_embeddings": False,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "mistral": COMMON
    | {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "sliding_window": 7,
        "tie_word_embeddings": False,
    },
    "qwen2": {key: value for key, value in COMMON.items() if key not in ("head_dim", "attention_bias")}
    | {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "use_sliding_window": True,
        "sliding_window": 7,
        "max_window_layers": 1,
    },
    "qwen3": COMMON
    | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 12, "sliding_window": None},
    "gemma2": COMMON
    | {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "head_dim": 12,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 10,
        "sliding_window": 7,
        "attn_logit_softcapping": 2.0,
        "final_logit_softcapping": 3.0,
    },
}


def normal(generator: torch.Generator, shape: torch.Size, deviation: float) -> torch.Tensor:
    return torch.randn(shape, generator=generator) * deviation


def base_model(
    fields: dict, weights: dict[str, torch.Tensor] | None, generator: torch.Generator
) -> torch.nn.Module:
    """The base model with `weights`, or with lively random ones when there are none yet."""
    config = AutoConfig.for_model(**fields)
    rope = config.rope_parameters
    assert rope["rope_theta"] == fields["rope_theta"], f"rope_theta was lost: {rope}"
    assert rope["rope_type"] == fields.get("rope_scaling", {}).get("rope_type", "default"), rope
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).to(torch.float32).train()
    # Gemma's norms multiply by one plus the weight.
    around = 0.0 if fields["model_type"] == "gemma2" else 1.0
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if weights is not None:
                parameter.copy_(weights[name])
            elif parameter.dim() == 2:
                parameter.copy_(normal(generator, parameter.shape, 0.15))
            elif name.endswith("bias"):
                parameter.copy_(normal(generator, parameter.shape, 0.3))
            else:
                parameter.copy_(around + normal(generator, parameter.shape, 0.1))
    return model


def batch(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, labels and attention mask, padded on the right."""
    width = max(LENGTHS)
    ids = torch.full((len(LENGTHS), width), PAD, dtype=torch.int64)
    labels = torch.full_like(ids, -100)
    mask = torch.zeros_like(ids)
    for row, (length, prompt) in enumerate(zip(LENGTHS, PROMPTS, strict=True)):
        tokens = torch.randint(4, COMMON["vocab_size"], (length,), generator=generator)
        ids[row, :length] = tokens
        labels[row, prompt:length] = tokens[prompt:]
        mask[row, :length] = 1
    return ids, labels, mask


def reference_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss again, from the logits: label t is predicted at position t - 1."""
    flat = logits[:, :-1].reshape(-1, logits.shape[-1])
    return torch.nn.functional.cross_entropy(flat, labels[:, 1:].reshape(-1), ignore_index=-100)


def loss_of(model: torch.nn.Module, ids: torch.Tensor, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    output = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False)
    assert torch.allclose(output.loss, reference_loss(output.logits, labels), atol=1e-6)
    output.loss.backward()
    return output.loss.detach().reshape(1)


def logits_of(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids[:1], use_cache=False).logits[0].detach().clone()


def greedy_of(model: torch.nn.Module, prompts: torch.Tensor) -> torch.Tensor:
    """New tokens by the whole forward pass each time: no cache, no generation settings."""
    ids = prompts.clone()
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            logits = model(input_ids=ids, use_cache=False).logits[:, -1]
            best = logits.topk(2).values
            assert (best[:, 0] - best[:, 1]).min() > 1e-5, "two tokens are as good as each other"
            ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    return ids[:, prompts.shape[1] :].clone()


def settle_header(path: Path) -> None:
    """Write the header again with sorted keys, so that the same tensors give the same bytes."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])


def write(family: str, target: Path) -> None:
    fields = FAMILIES[family]
    generator = torch.Generator().manual_seed(SEED)
    tensors: dict[str, torch.Tensor] = {}

    model = base_model(fields, None, generator)
    ids, labels, mask = batch(generator)
    prompts = torch.randint(4, COMMON["vocab_size"], (4, 6), generator=generator)
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    tensors["batch/input_ids"], tensors["batch/labels"] = ids, labels
    tensors["lengths"] = torch.tensor(LENGTHS, dtype=torch.int64)
    tensors["greedy/prompts"] = prompts
    tensors["loss/full"] = loss_of(model, ids, labels, mask)
    tensors["logits/full"] = logits_of(model, ids)
    tensors["greedy/full"] = greedy_of(model, prompts)
    for name, parameter in model.named_parameters():
        assert ("lm_head" in name) <= (not fields["tie_word_embeddings"]), "the head must be tied"
        tensors[f"weights/{name}"] = weights[name]
        tensors[f"grad_full/{name}"] = parameter.grad

    settings = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, bias="none", target_modules=TARGETS, task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(base_model(fields, weights, generator), settings).train()
    trainable = [(name, parameter) for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(trainable) == 2 * len(TARGETS) * fields["num_hidden_layers"]
    with torch.no_grad():
        for _, parameter in trainable:
            parameter.copy_(normal(generator, parameter.shape, 0.15))
    tensors["loss/lora"] = loss_of(adapted, ids, labels, mask)
    tensors["logits/lora"] = logits_of(adapted, ids)
    tensors["greedy/lora"] = greedy_of(adapted, prompts)
    for name, parameter in trainable:
        short = name.removeprefix("base_model.model.").replace(".default.", ".")
        tensors[f"lora/{short}"] = parameter.detach().clone()
        tensors[f"grad_lora/{short}"] = parameter.grad

    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            assert torch.isfinite(tensor).all() and tensor.abs().max() > 0, name
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "safetensors": safetensors.__version__,
        "numpy": numpy.__version__,
    }
    metadata = {
        "config": json.dumps(fields),
        "lora": json.dumps({"r": RANK, "alpha": ALPHA}),
        "versions": json.dumps(versions),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target, metadata=metadata)
    settle_header(target)
    print(f"{target.name}: {len(tensors)} tensors, {target.stat().st_size} bytes,", end=" ")
    print(f"loss full {tensors['loss/full'].item():.6f}, lora {tensors['loss/lora'].item():.6f}")


def main() -> None:
    default = Path(__file__).resolve().parents[1] / "fixtures" / "gradients"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for family in sys.argv[2:] or FAMILIES:
        write(family, folder / f"{family}.safetensors")


if __name__ == "__main__":
    main()
