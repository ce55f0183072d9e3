"""What the mask costs LoRA per step: `python benchmarks/bench_lora.py [MINUTES]` (extra `hf`).

Full training steps (forward, backward, AdamW) of the same GPT-2 with random weights, pruned by
70 %, with the same adapters on all of its layers: plain LoRA, and under `attach_lora`, in turns.
Time is that of the CPU; the ratio is the median of those of the rounds.
"""

import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import peft
import torch
import transformers

from lottery_ticket.integrations.peft import attach_lora
from lottery_ticket.pruning import prune

SIZES = ((128, 4), (128, 16), (256, 16))  # width, sequences of 64 tokens in a batch
LAYERS = ["c_attn", "c_proj", "c_fc"]


def stepper(width: int, *, is_masked: bool) -> tuple[Callable[[torch.Tensor], None], int]:
    """A function that makes a step, and how many weights the mask speaks of."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=4, n_head=4, n_embd=width, vocab_size=65, n_positions=64,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    base = transformers.GPT2LMHeadModel(config)
    mask = prune(base, sparsity=0.7)
    mask.apply(base)
    options = peft.LoraConfig(r=8, target_modules=LAYERS, fan_in_fan_out=True)
    model: Any = peft.get_peft_model(base, options)
    if is_masked:
        attach_lora(model, mask)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)

    def step(tokens: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()

    return step, mask.num_prunable


def main() -> None:
    """Print a line for each size."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    print(f"torch {torch.__version__}, peft {version('peft')}, {torch.get_num_threads()} threads")
    for width, batch in SIZES:
        (plain, size), (masked, _) = (stepper(width, is_masked=way) for way in (False, True))
        tokens = torch.randint(65, (batch, 64))
        times, end = [], time.perf_counter() + minutes * 60 / len(SIZES)
        for step in (plain, masked):
            step(tokens)
        while time.perf_counter() < end or len(times) < 5:
            started = [time.process_time()]
            for step in (plain, masked):
                step(tokens)
                started.append(time.process_time())
            times.append((started[1] - started[0], started[2] - started[1]))
        ratio = statistics.median(after / before for before, after in times)
        ms = 1000 * statistics.median(before for before, _ in times)
        head = f"{size / 1e6:.2f} M weights, {64 * batch:>5} tokens"
        print(f"{head} {ms:>8.1f} ms, masked {ratio:.3f} of it, {len(times)} rounds", flush=True)


if __name__ == "__main__":
    main()
