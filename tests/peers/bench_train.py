"""Training speed of PyTorch + transformers + PEFT, as one JSON line.

    python tests/peers/bench_train.py CELL_JSON

CELL_JSON is the same object that `dataenvgym bench train` measures itself with: `hidden`,
`intermediate`, `layers`, `heads`, `kv_heads`, `vocabulary` (tied), `rank` (0 for full training), `rows`,
`length` (tokens per row, the second half of them learned), `threads`, `seconds` (processor time to
measure at least) and `setting`, one of

    sdpa      attention through torch's scaled_dot_product_attention
    eager     plain attention
    compile   sdpa, the model through torch.compile

A step is forward, backward, clipping by the global norm and the fused AdamW. The line holds `tokens` and
`cpu_seconds` after two steps of warm-up, `peak_bytes` of the whole process, and `versions`.
"""

import json
import os
import resource
import sys
import time

CELL = json.loads(sys.argv[1])
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(CELL["threads"])

import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    torch.set_num_threads(CELL["threads"])
    torch.manual_seed(1)
    transformers.utils.logging.set_verbosity_error()
    config = LlamaConfig(
        hidden_size=CELL["hidden"],
        intermediate_size=CELL["intermediate"],
        num_hidden_layers=CELL["layers"],
        num_attention_heads=CELL["heads"],
        num_key_value_heads=CELL["kv_heads"],
        vocab_size=CELL["vocabulary"],
        max_position_embeddings=1024,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        use_cache=False,
    )
    config._attn_implementation = "eager" if CELL["setting"] == "eager" else "sdpa"
    model = LlamaForCausalLM(config).float().train()
    if CELL["rank"]:
        settings = peft.LoraConfig(
            r=CELL["rank"],
            lora_alpha=2 * CELL["rank"],
            lora_dropout=0.0,
            target_modules=TARGETS,
            task_type="CAUSAL_LM",
        )
        model = peft.get_peft_model(model, settings)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    if CELL["setting"] == "compile":
        model = torch.compile(model)
    rows, length = CELL["rows"], CELL["length"]
    ids = torch.randint(4, CELL["vocabulary"], (rows, length))
    labels = ids.clone()
    labels[:, : length // 2] = -100

    def step() -> None:
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        loss.item()

    for _ in range(2):
        step()
    begun, steps = time.process_time(), 0
    while steps < 3 or time.process_time() - begun < CELL["seconds"]:
        step()
        steps += 1
    result = {
        "tokens": steps * rows * length,
        "cpu_seconds": time.process_time() - begun,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "versions": f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
