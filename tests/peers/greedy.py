"""Greedy answers of Hugging Face transformers, one JSON line per prompt.

    python tests/peers/greedy.py MODEL_FOLDER --prompts prompts.json [--adapter FOLDER]
                                 [--max-new-tokens 64]

`prompts.json` is a list of strings; each becomes the only user message of a conversation, rendered
with the model's chat template and the generation prompt. Weights are upcast to float32 whatever the
folder holds, attention is the plain one, prompts run one at a time (no padding), nothing is sampled.
A line is `{"index", "token_ids", "text"}`: `token_ids` are the new tokens, including the end token
when one ended the answer; `text` is decoded without special tokens and not trimmed.

Only local folders are read. Token ids come from `tokenizer.json` exactly as it stands: the
tokenizer classes of transformers may rebuild it, and then the two sides would not see one prompt.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging  # noqa: E402


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def load_model(folder: Path, adapter: Path | None) -> torch.nn.Module:
    """The model in float32 with the adapter, if any, on top of it (not merged)."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    written = read_json(folder / "config.json").get("rope_theta")
    loaded = (getattr(model.config, "rope_parameters", None) or {}).get("rope_theta")
    if written is not None and loaded is not None and float(written) != float(loaded):
        sys.exit(f"config.json says rope_theta {written}, transformers loaded {loaded}")
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter, local_files_only=True)
    return model.float().eval()


def end_tokens(folder: Path, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """What ends an answer: generation_config.json, else config.json, else the tokenizer's."""
    for name in ("generation_config.json", "config.json"):
        found = read_json(folder / name).get("eos_token_id")
        if found is not None:
            return found if isinstance(found, list) else [found]
    return [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]


def main() -> None:
    parser = argparse.ArgumentParser(description="Greedy answers of transformers as JSON lines.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    folder = arguments.model.resolve()
    template = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ends = end_tokens(folder, template)
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=arguments.max_new_tokens,
        eos_token_id=ends or None,
        pad_token_id=ends[0] if ends else 0,
    )
    model = load_model(folder, arguments.adapter)
    # What the folder suggests for sampling must not leak into a greedy comparison.
    model.generation_config = settings

    prompts = json.loads(arguments.prompts.read_text(encoding="utf-8"))
    for index, prompt in enumerate(prompts):
        conversation = [{"role": "user", "content": prompt}]
        rendered = template.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer.encode(rendered, add_special_tokens=False).ids])
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
            )
        new = output[0, ids.shape[1] :].tolist()
        line = {"index": index, "token_ids": new, "text": tokenizer.decode(new, skip_special_tokens=True)}
        print(json.dumps(line, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
