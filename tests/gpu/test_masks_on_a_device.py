"""Masks on the device: the same selection as on the CPU, zeros that stay, scores that agree."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lottery_ticket import LotteryTicketFinder, PruningMask, prune
from lottery_ticket.criteria import score
from lottery_ticket.masks import select_at
from lottery_ticket.models import build

EXAMPLES = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 10


def tied_scores(mask):
    """Few different values, so that the tie rule decides."""
    stream = torch.Generator().manual_seed(1)
    return {n: torch.randint(0, 20, m.shape, generator=stream).float() for n, m in mask.items()}


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("structure", ["unstructured", "2:4", "block:4x4", "channel"])
def test_the_device_selects_what_the_cpu_does(device, structure, scope):
    if structure == "2:4" and scope != "global":
        pytest.skip("n:m has no scope")
    model = nn.Sequential(nn.Conv2d(4, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 8, 1))
    on_cpu = PruningMask(model)
    on_device = PruningMask(model.to(device))
    how = {"density": 0.5, "scope": scope, "structure": structure}
    scores = tied_scores(on_cpu)
    wanted = select_at(scores, on_cpu, **how)
    found = select_at({n: s.to(device) for n, s in scores.items()}, on_device, **how)
    assert found.density == wanted.density == pytest.approx(0.5, abs=0.05)
    assert all(torch.equal(found[name].cpu(), wanted[name]) for name in wanted)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adam, fused": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "adamw, foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_pruned_weights_stay_zero(device, make, precision):
    model = build("Conv2", seed=0).to(device)
    mask = prune(model, sparsity=0.8)
    optimizer = make(model.parameters())
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    x, y = EXAMPLES.to(device), LABELS.to(device)
    with mask.attach(model, optimizer) as attached:
        for _ in range(5):
            optimizer.zero_grad()
            with torch.autocast(device, dtype, enabled=precision != "fp32"):
                loss = cross_entropy(model(x).float(), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    assert attached.revived() == []
    weights = dict(model.named_parameters())
    for name, kept in mask.items():
        assert not weights[name].detach()[~kept].any(), name
        moved = [v for v in optimizer.state[weights[name]].values() if v.shape == kept.shape]
        assert moved
        assert not any(value[~kept].any() for value in moved), name


@pytest.mark.parametrize("criterion", ["magnitude", "saliency", "snip", "grasp", "synflow"])
def test_scores_agree_with_the_cpu(device, criterion):
    model = build("Conv2", seed=0)
    given = {
        "batches": [(EXAMPLES, LABELS)],
        "loss": cross_entropy,
        "input_shape": (3, 32, 32),
    }
    wanted = score(criterion, mask=PruningMask(model), model=model, **given)
    model.to(device)
    given["batches"] = [(EXAMPLES.to(device), LABELS.to(device))]
    found = score(criterion, mask=PruningMask(model), model=model, **given)
    for name, values in wanted.items():
        tolerance = 1e-2 * float(values.abs().max())  # sums in another order
        torch.testing.assert_close(found[name].cpu(), values, rtol=1e-2, atol=tolerance)


def test_a_search_on_the_device(device):
    def train(model, mask):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for _ in range(3):
            optimizer.zero_grad()
            cross_entropy(model(EXAMPLES.to(device)), LABELS.to(device)).backward()
            optimizer.step()

    def evaluate(model):
        return float((model(EXAMPLES.to(device)).argmax(1).cpu() == LABELS).float().mean())

    finder = LotteryTicketFinder(model_fn=lambda: build("Conv2", seed=0), device=device)
    model, mask, results = finder.find_winning_ticket(
        train_fn=train, eval_fn=evaluate, target_sparsity=0.75, pruning_rounds=2, verbose=False
    )
    assert results.problems == []
    assert mask.sparsity == pytest.approx(0.75, abs=1e-3)
    assert {p.device.type for p in model.parameters()} == {torch.device(device).type}
    finder.ticket()
