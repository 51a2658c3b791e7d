"""Greedy answers of transformers to a whole job, as one JSON line.

    python tests/peers/bench_generate.py ORDER_FILE

ORDER_FILE is a JSON object: `folder` of the model, `threads`, `max_tokens`, `prompts`. The prompts are put
through the chat template, sorted by length and answered in batches; several batch sizes are tried on a part
of the job, and the whole job is timed with the fastest. The line holds `seconds`, `tokens` (generated, up to
and including the end token), `texts` in the order of the prompts, `setting` and `versions`.
"""

import json
import os
import sys
import time

with open(sys.argv[1], encoding="utf-8") as file:
    ORDER = json.load(file)
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(ORDER["threads"])

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

BATCHES = [8, 32, 96, 240]


def answers(model, tokenizer, rows, size):
    """Texts and token counts of tokenised rows, in batches of neighbours in length."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    texts, counts = [""] * len(rows), [0] * len(rows)
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    for first in range(0, len(order), size):
        members = order[first : first + size]
        width = max(len(rows[i]) for i in members)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        ids = torch.tensor([[pad] * (width - len(rows[i])) + rows[i] for i in members])
        mask = torch.tensor([[0] * (width - len(rows[i])) + [1] * len(rows[i]) for i in members])
        out = model.generate(ids, attention_mask=mask, max_new_tokens=ORDER["max_tokens"], do_sample=False, pad_token_id=pad)
        for i, row in zip(members, out[:, width:].tolist()):
            end = next((k for k, token in enumerate(row) if token in ends), len(row))
            counts[i] = min(end + 1, len(row))
            texts[i] = tokenizer.decode(row[:end], skip_special_tokens=True)
    return texts, counts


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(ORDER["threads"])
    transformers.utils.logging.set_verbosity_error()
    tokenizer = AutoTokenizer.from_pretrained(ORDER["folder"])
    model = AutoModelForCausalLM.from_pretrained(ORDER["folder"], dtype=torch.float32).eval()
    turns = [[{"role": "user", "content": prompt}] for prompt in ORDER["prompts"]]
    rows = [
        tokenizer(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False), add_special_tokens=False)[
            "input_ids"
        ]
        for turn in turns
    ]
    part = rows[:: max(1, len(rows) // 48)]
    speeds = {}
    for size in BATCHES:
        answers(model, tokenizer, part[:size], size)
        begun = time.perf_counter()
        sample = (part * (1 + size // len(part)))[: max(size, len(part))]
        _, counts = answers(model, tokenizer, sample, size)
        speeds[size] = sum(counts) / (time.perf_counter() - begun)
    size = max(speeds, key=speeds.get)
    begun = time.perf_counter()
    texts, counts = answers(model, tokenizer, rows, size)
    seconds = time.perf_counter() - begun
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(json.dumps({"seconds": seconds, "tokens": sum(counts), "texts": texts, "setting": f"batches of {size}", "versions": versions}))


main()
