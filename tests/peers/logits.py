"""Logits of Hugging Face transformers at the end of given token sequences, one JSON line each.

    python tests/peers/logits.py MODEL_FOLDER --ids ids.json [--adapter FOLDER]

`ids.json` is a list of lists of token ids. Weights are upcast to float32, attention is the plain one, an
adapter is put on top by PEFT and not merged. Only local folders are read.
"""

import argparse
import json
from pathlib import Path

import torch
from greedy import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description="Logits of transformers as JSON lines.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--ids", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(arguments.model.resolve(), arguments.adapter)
    for ids in json.loads(arguments.ids.read_text(encoding="utf-8")):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        print(json.dumps(logits.tolist()), flush=True)


if __name__ == "__main__":
    main()
