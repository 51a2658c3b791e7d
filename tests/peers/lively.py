"""A small model folder with random but lively weights, and a LoRA adapter for it.

    python tests/peers/lively.py OUTPUT_FOLDER [llama | mistral | qwen2 | qwen3 | gemma2]

Writes OUTPUT_FOLDER/model (a Llama of 2.4 M parameters, or a smaller one of another family, float32) and OUTPUT_FOLDER/adapter (rank 8, alpha 16, all
seven linear layers). Matrices are drawn with a standard deviation of 0.08 from fixed seeds, A and B of
the adapter too: the usual initialisation gives nearly flat logits, and a comparison token by token would
prove little. The tokenizer is a byte-level BPE trained on the source of transformers' generation code.
"""

import inspect
import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.generation import utils

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

COMMON = {
    "vocab_size": 2048,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "hidden_act": "silu",
    "torch_dtype": "float32",
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 3,
}
SMALL = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}
FAMILIES = {
    "llama": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
    "mistral": SMALL
    | {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "head_dim": 32,
        "sliding_window": 512,
        "tie_word_embeddings": False,
    },
    "qwen2": SMALL
    | {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 4,
    },
    "qwen3": SMALL
    | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "head_dim": 64,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 4,
        "attention_dropout": 0.0,
    },
    "gemma2": SMALL
    | {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "head_dim": 32,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 32,
        "sliding_window": 512,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
    },
}


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(inspect.getsource(utils).splitlines(keepends=True), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|pad|>",
            "model_max_length": 2048,
            "add_bos_token": False,
            "chat_template": TEMPLATE,
        },
    )
    write_json(
        folder / "generation_config.json", {"eos_token_id": [2, 0], "bos_token_id": 0, "pad_token_id": 3}
    )


def redraw(parameters, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(parameters):
            if weight.dim() == 2:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.08)


def main() -> None:
    output = Path(sys.argv[1])
    folder = output / "model"
    folder.mkdir(parents=True)
    fields = FAMILIES[sys.argv[2] if len(sys.argv) > 2 else "llama"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**(COMMON | fields))).float()
    redraw(model.named_parameters(), 1)
    model.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Written by transformers inside `rope_parameters` only; mistral.rs needs it flat.
    write_json(folder / "config.json", written | COMMON | fields)
    write_tokenizer(folder)

    adapted = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=LINEAR))
    redraw([(name, weight) for name, weight in adapted.named_parameters() if "lora_" in name], 2)
    adapted.save_pretrained(output / "adapter")


if __name__ == "__main__":
    main()
