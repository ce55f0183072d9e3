"""Every arm, held against a plain PyTorch loop and masks made by sorting: a row for each arm."""

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from every_arm import (
    DROP,
    ELSEWHERE,
    TRAIN,
    WHOLE,
    K,
    Made,
    State,
    Wrong,
    digest,
    made_in,
    spec_of,
    wrong_maker,
)

from lottery_ticket.arms import ARMS, Arm
from lottery_ticket.chain import At, Chain
from lottery_ticket.connectivity import align
from lottery_ticket.data import load_dataset
from lottery_ticket.experiment import TrainCell
from lottery_ticket.experiment.objects.initial import (
    WAYS,
    initial_model,
    permute_kept_,
    scale_to_kept_inputs_,
)
from lottery_ticket.experiment.planning.replicate import Replicate
from lottery_ticket.experiment.planning.setting import Setting
from lottery_ticket.masks import Budget, PruningMask, budget_erk
from lottery_ticket.models import build
from lottery_ticket.pruning import POLICIES, Pipeline, Polynomial, next_mask
from lottery_ticket.registry import Entry
from lottery_ticket.seeds import derive, generator

LEVELS = (0, 1, 2)
SEARCH = WHOLE + 2 * (WHOLE - K)  # the steps of the tickets of all levels


class Expected(NamedTuple):
    """What is true of an arm above level 0.

    Args:
        mask: which mask it trains.
        start: which weights, and the optimiser's memory with them.
        steps: from which step to which.
    """

    mask: str
    start: str
    steps: tuple[int, int] = (0, WHOLE)


MOVING = ("gradual", "static", "set", "rigl", "supermask", "edge_popup", "early_bird")
"""How masks come about that change while they train."""

SCORED = {"supermask": 300.0, "edge_popup": 0.1}
"""The arms that train scores in place of weights, and their learning rates."""

REWOUND = ("rewound", (K, WHOLE))
EXPECTED = {
    "ticket": Expected("own", *REWOUND),
    "transfer": Expected("source", "source's rewound weights"),
    "reinit": Expected("ticket", "fresh"),
    "transfer_reinit": Expected("source", "fresh"),
    "reinit_scaled": Expected("ticket", "scaled"),
    "values_permuted": Expected("ticket", "permuted"),
    "sign_reinit": Expected("ticket", "signs"),
    "signed_constant": Expected("ticket", "constant"),
    "shuffled": Expected("shuffled", *REWOUND),
    "random": Expected("random", *REWOUND),
    "borrowed": Expected("the other's", *REWOUND),
    "permuted": Expected("the other's, aligned", *REWOUND),
    "inverted": Expected("lowest of dense", *REWOUND),
    "dense_small": Expected("none", "initial"),
    "dense_long": Expected("none", "initial", (0, SEARCH)),
    "oneshot": Expected("highest of dense", *REWOUND),
    "lth": Expected("own", "initial"),
    "lr_rewind": Expected("own", "trained weights"),
    "finetune": Expected("own", "trained", (WHOLE, 2 * WHOLE)),
    "gradual": Expected("gradual", "initial"),
    "static": Expected("static", "initial"),
    "set": Expected("set", "initial"),
    "rigl": Expected("rigl", "initial"),
    "rigl_mask": Expected("rigl's last", "initial"),
    "supermask": Expected("supermask", "initial"),
    "edge_popup": Expected("edge_popup", "initial"),
    "early_bird": Expected("early_bird", "initial"),
    "early_bird_mask": Expected("early_bird's last", "initial"),
    "magnitude_init": Expected("magnitude", "initial"),
    "snip": Expected("snip", "initial"),
    "grasp": Expected("grasp", "initial"),
    "synflow": Expected("synflow", "initial"),
    "iterative_snip": Expected("iterative_snip", "initial"),
    "force": Expected("force", "initial"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return made_in(tmp_path_factory.mktemp("every_arm"), spec_of())


@pytest.fixture(scope="module")
def layerwise(tmp_path_factory) -> Made:
    """The arms that have masks, hardly trained."""
    prune = {"rate": 0.4, "levels": 2, "scope": "layerwise", "rates": {"fc3": 0.2}}
    train = TRAIN | {"duration": "8it", "milestones": ["6it"]}
    source = {"train": train | {"lr": ELSEWHERE["lr"]}}
    spec = spec_of(LAYERWISE, prune=prune, train=train, source=source)
    return made_in(tmp_path_factory.mktemp("layerwise"), spec)


def test_every_arm_has_a_row():
    assert list(EXPECTED) == list(ARMS)


# weights: a plain loop


class Trained(NamedTuple):
    """What a training ends with."""

    weights: State
    momentum: list[torch.Tensor]
    mask: dict[str, torch.Tensor]


def model_of(options: dict[str, Any], seed: int) -> torch.nn.Module:
    options = dict(options)
    return build(options.pop("name"), seed, **options)


def state_of(model: torch.nn.Module) -> State:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


Moving = Callable[[int, State, dict[str, torch.Tensor], State], dict[str, torch.Tensor] | None]


def weights_of(model: torch.nn.Module) -> State:
    """Those that can be pruned."""
    return {n: p.detach() for n, p in model.named_parameters() if n.endswith("weight")}


def plain_training(
    options: dict[str, Any],
    start: State,
    momentum: list[torch.Tensor] | None,
    mask: PruningMask | None,
    order: int,
    steps: tuple[int, int],
    lr: float,
    drop: int = DROP,
    moving: Moving | None = None,
) -> Trained:
    """SGD with momentum, written out; what the recipe says of its learning rate too.

    `moving` says what is kept after a step, where that changes while it trains.
    """
    data = load_dataset("digits").train
    model = model_of(options, 0)
    model.load_state_dict(start)
    masks = mask or {}
    if moving is not None:
        masks = moving(0, weights_of(model), {}, {}) or {}
    with torch.no_grad():
        for name, kept in masks.items():
            model.get_parameter(name).masked_fill_(~kept, 0.0)
    named = dict(model.named_parameters())
    optimizer = torch.optim.SGD(named.values(), lr=lr, momentum=0.9, fused=True)
    for (name, parameter), memory in zip(named.items(), momentum or (), strict=bool(momentum)):
        kept = masks.get(name, torch.ones_like(parameter, dtype=torch.bool))
        optimizer.state[parameter]["momentum_buffer"] = memory.masked_fill(~kept, 0.0)
    for step in range(*steps):
        epoch, batch = divmod(step, WHOLE // 2)
        rows = torch.randperm(len(data), generator=generator(order, "epoch", epoch))
        rows = rows.split(64)[batch]
        optimizer.param_groups[0]["lr"] = lr * (0.1 if step >= drop else 1.0)
        optimizer.zero_grad()
        F.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
        dense = {name: p.grad.clone() for name, p in named.items()}
        for name, kept in masks.items():
            named[name].grad.masked_fill_(~kept, 0.0)
        optimizer.step()
        if moving is not None:
            masks = moving(step + 1, weights_of(model), masks, dense) or masks
            for name, kept in masks.items():
                for values in (named[name].data, optimizer.state[named[name]]["momentum_buffer"]):
                    values[~kept] = 0.0
    memories = [optimizer.state[p]["momentum_buffer"].clone() for p in named.values()]
    return Trained(state_of(model), memories, dict(masks))


def numpys(shape: torch.Size, stream: torch.Generator) -> torch.Tensor:
    """Random fractions of 23 bits, as NumPy draws them by a seed of torch's."""
    seed = torch.randint(2**62, (1,), generator=stream).item()
    raw = np.random.SFC64(seed).random_raw(shape.numel())[: (shape.numel() + 1) // 2]
    bits = np.frombuffer(raw.astype("uint64").tobytes(), "uint32")[: shape.numel()] % 2**23
    return torch.from_numpy((bits / 2**23).astype("float32")).view(shape)


def rate_of(arm: str, step: int) -> float:
    """A cosine, whatever the recipe says."""
    return SCORED[arm] / 2 * (1 + np.cos(np.pi * step / WHOLE))


def scored_training(
    arm: str, options: dict[str, Any], start: State, seed: int, order: int, count: int
) -> Trained:
    """Zhou et al. and Ramanujan et al., written out: scores are trained, and no weight is."""
    data, model = load_dataset("digits").train, model_of(options, 0)
    names = [name for name in start if name.endswith("weight")]
    size = sum(start[name].numel() for name in names)
    weights = {}
    for name in names:
        constant = start[name].double().std(correction=0) / np.sqrt(count / size)
        weights[name] = torch.where(start[name] < 0, -constant.float(), constant.float())
    if arm == "supermask":
        drawn = {n: torch.full_like(start[n], float(np.log(count / (size - count)))) for n in names}
    else:
        stream = torch.Generator().manual_seed(derive(seed, "scores", "initial"))
        bounds = {n: 1 / np.sqrt(start[n].shape[1]) for n in names}
        drawn = {
            n: torch.rand(start[n].shape, generator=stream) * (2 * bounds[n]) - bounds[n]
            for n in names
        }
    scores = {name: torch.nn.Parameter(value) for name, value in drawn.items()}
    optimizer = torch.optim.SGD(scores.values(), lr=1.0, momentum=0.9, fused=True)

    def final() -> dict[str, torch.Tensor]:
        plain = {name: score.detach() for name, score in scores.items()}
        return dict(chosen(plain if arm == "supermask" else magnitudes(plain), count))

    for step in range(WHOLE):
        stream = torch.Generator().manual_seed(derive(seed, "scores", "draw", step))
        epoch, batch = divmod(step, WHOLE // 2)
        rows = torch.randperm(len(data), generator=generator(order, "epoch", epoch)).split(64)
        x, y = data.x[rows[batch]], data.y[rows[batch]]
        if arm == "supermask":
            with torch.no_grad():
                flat = [score.sigmoid().flatten() for score in scores.values()]
                total = sum(each.sum() for each in flat)
                spread = total - sum(each @ each for each in flat)
                shift = (total - count) / spread
                for score in scores.values():
                    score -= shift.clamp(-1, 1)
            chance = {name: score.detach().sigmoid() for name, score in scores.items()}
            mask = {n: numpys(p.shape, stream) < p for n, p in chance.items()}
            slope = {name: p - p * p for name, p in chance.items()}
        else:
            mask = final()
            slope = {name: score.detach().sign() for name, score in scores.items()}
        masked = {n: (weights[n] * mask[n]).requires_grad_() for n in names}
        rest = {name: value for name, value in start.items() if name not in weights}
        F.cross_entropy(torch.func.functional_call(model, masked | rest, (x,)), y).backward()
        for name, score in scores.items():
            score.grad = masked[name].grad * weights[name] * slope[name]
        optimizer.param_groups[0]["lr"] = rate_of(arm, step)
        optimizer.step()
    mask = final()
    kept = {name: weights[name] * mask[name] for name in names}
    memories = [optimizer.state[score]["momentum_buffer"] for score in scores.values()]
    return Trained({**start, **kept}, memories, mask)


class Oracle:
    """What trainings with the masks of a run should end with."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.model = made.plan.cells[made.plan.rows[0].cell].inputs()["model"]
        self.root = derive(made.spec.seed, "replicate", 0)
        self.training = cache(self._training)

    @property
    def initial(self) -> State:
        return state_of(model_of(self.model, derive(self.root, "init")))

    @property
    def fresh(self) -> State:
        return state_of(model_of(self.model, derive(self.root, "control", "reinit", 0)))

    def signs(self) -> State:
        fresh, signed = self.fresh, self.initial
        return {n: torch.where(signed[n] < 0, -fresh[n].abs(), fresh[n].abs()) for n in fresh}

    def constant(self) -> State:
        state = self.initial
        for name in (name for name in state if name.endswith("weight")):
            values = state[name].numpy()
            deviation = np.std(values.astype("float64")).astype("float32")
            state[name] = torch.from_numpy(np.where(values < 0, -deviation, deviation))
        return state

    def kept(self, arm: str, level: int) -> dict[str, np.ndarray]:
        """Layer → its kept places; all of them at level 0."""
        initial = self.initial
        mask = self.made.mask(arm, level) if level else {}
        layers = [name for name in initial if name.endswith("weight")]
        every = {name: np.ones(initial[name].shape, bool) for name in layers}
        return every | {name: kept.numpy() for name, kept in mask.items()}

    def scaled(self, level: int) -> State:
        state = self.fresh
        for name, kept in self.kept("reinit_scaled", level).items():
            for output, row in enumerate(kept):
                state[name][output] *= float(np.sqrt(row.size / max(1, row.sum())))
        return state

    def permuted(self, level: int) -> State:
        state = self.initial
        draws = generator(derive(self.root, "control", "values_permuted", 0, level))
        for name, kept in self.kept("values_permuted", level).items():
            places = [tuple(place) for place in np.argwhere(kept)]
            values = [state[name][place].clone() for place in places]
            for place, i in zip(places, torch.randperm(len(places), generator=draws), strict=True):
                state[name][place] = values[i]
        return state

    def rewound(self, lr: float) -> Trained:
        order = derive(self.root, "order", 0)
        return plain_training(self.model, self.initial, None, None, order, (0, K), lr)

    def start(self, arm: str, level: int) -> tuple[State, list[torch.Tensor] | None]:
        how = EXPECTED[arm].start
        if how == "scaled":
            return self.scaled(level), None
        if how == "permuted":
            return self.permuted(level), None
        if how in ("fresh", "signs", "constant"):
            return {"fresh": lambda: self.fresh, "signs": self.signs, "constant": self.constant}[
                how
            ](), None
        if level == 0:
            return self.initial, None
        if arm == "dense_small":
            return state_of(model_of(self.options(arm, level), derive(self.root, "init"))), None
        if how == "rewound":
            return self.rewound(TRAIN["lr"])[:2]
        if how == "source's rewound weights":
            return self.rewound(ELSEWHERE["lr"]).weights, None
        if how.startswith("trained"):
            before = self.training(arm, level - 1)
            return before.weights, before.momentum if how == "trained" else None
        assert how == "initial"
        return self.initial, None

    def options(self, arm: str, level: int) -> dict[str, Any]:
        return self.made.cell(arm, level).inputs()["model"] if arm == "dense_small" else self.model

    def _training(self, arm: str, level: int) -> Trained:
        start, momentum = self.start(arm, level)
        if level and arm in SCORED:
            seed, order = (
                derive(self.root, "policy", arm, level, 0),
                derive(self.root, "order", level),
            )
            count = self.made.plan.budgets[level].total
            return scored_training(arm, self.model, start, seed, order, count)
        is_moving = level and EXPECTED[arm].mask in MOVING
        has_mask = level and EXPECTED[arm].mask not in ("none", *MOVING)
        return plain_training(
            self.options(arm, level),
            start,
            momentum,
            self.made.mask(arm, level) if has_mask else None,
            derive(self.root, "order", level),
            EXPECTED[arm].steps if level else (0, WHOLE),
            TRAIN["lr"],
            drop_of(arm, level),
            self.moving(arm, level) if is_moving else None,
        )

    def moving(self, arm: str, level: int) -> Moving:
        """How a mask moves."""
        if arm == "gradual":
            return self.falling_to(level)
        if arm == "early_bird":
            return self.settling(level)
        return self.evolving(arm, level)

    def falling_to(self, level: int) -> Moving:
        """By the cube law of Zhu & Gupta over three quarters of a training."""
        size, last = (self.made.plan.budgets[at].total for at in (0, level))
        end = 3 * WHOLE // 4

        def mask(step, weights, masks, dense):
            if not step:
                return None
            left = size - int((1 - (1 - min(step, end) / end) ** 3) * (size - last))
            return dict(chosen(magnitudes(weights), left, masks or None))

        return mask

    def settling(self, level: int) -> Moving:
        """What pruning now would keep, until the last five are alike, or it is late."""
        count, end, drawn = self.made.plan.budgets[level].total, 3 * WHOLE // 4, []

        def mask(step, weights, masks, dense):
            if masks or step in (0, *range(end + 1, WHOLE + 1)):
                return None
            newest = chosen(magnitudes(weights), count)
            alike = [sum(int((newest[n] & other[n]).sum()) for n in newest) for other in drawn[-5:]]
            drawn.append(newest)
            has_settled = len(alike) == 5 and min(alike) > 0.9 * count
            return dict(newest) if has_settled or step == end else None

        return mask

    def evolving(self, arm: str, level: int) -> Moving:
        """Random and as dense as ERK has it at first; then, of each layer, the smallest go."""
        seed = derive(self.root, "policy", arm, level, 0)
        total, end = self.made.plan.budgets[level].total, 3 * WHOLE // 4
        every = max(1, end // 20)

        def drawn(step, weights):
            stream = generator(seed, "policy", step)
            return {
                name: torch.rand(value.shape, generator=stream) for name, value in weights.items()
            }

        def mask(step, weights, masks, dense):
            if not step:
                shapes = {name: tuple(value.shape) for name, value in weights.items()}
                size = sum(value.numel() for value in weights.values())
                erk = dict(budget_erk(shapes, total / size).per_layer)
                return {n: highest(s, erk[n]) for n, s in drawn(0, weights).items()}
            if arm == "static" or step >= end or step % every:
                return None
            noise = drawn(step, weights)
            found = {}
            for name, kept in masks.items():
                count = int(kept.sum())
                share = 0.3 / 2 * (1 + np.cos(np.pi * step / end))
                sizes = weights[name].abs().masked_fill(~kept, -1.0)
                stays = highest(sizes, count - int(share * count))
                grown = noise[name] if arm == "set" else dense[name].abs()
                found[name] = highest(grown.masked_fill(stays, torch.inf), count)
            return found

        return mask


def drop_of(arm: str, level: int) -> int:
    """Where the learning rate falls."""
    return DROP * SEARCH // WHOLE if arm == "dense_long" and level else DROP


def levels_of(arm: str) -> tuple[int, ...]:
    return (0, LEVELS[-1]) if arm == "dense_long" else LEVELS


def check_trainings(made: Made, arm: str) -> None:
    """To the bit: where each training starts, what it remembers, where it ends."""
    threads, oracle = torch.get_num_threads(), Oracle(made)
    torch.set_num_threads(1)
    try:
        for level in levels_of(arm):
            record = made.record(made.row(arm, level).cell)
            assert record.results["initial_sha256"] == digest(oracle.start(arm, level)[0])
            first, last = EXPECTED[arm].steps if level else (0, WHOLE)
            assert (record.results.get("start_step", 0), record.results["num_steps"]) == (
                first, last,
            )  # fmt: skip
            wanted, found = oracle.training(arm, level).weights, made.trained(arm, level)
            assert all(torch.equal(found[name], wanted[name]) for name in wanted), level
            rates = {r["step"]: r["lr"] for r in record.results["history"]}
            assert len(rates) >= 3
            assert max(rates) == last
            for step, rate in rates.items():
                falls = 0.01 if step > drop_of(arm, level) else 0.1
                is_scored = level and arm in SCORED
                assert rate == pytest.approx(rate_of(arm, step - 1) if is_scored else falls)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("arm", EXPECTED)
def test_trainings_are_those_of_a_plain_loop(arm, made):
    check_trainings(made, arm)


def initial_of(cell: TrainCell) -> torch.nn.Module:
    return initial_model(cell.recipe.model, cell.seeds.init, cell.initial)


def test_signs_and_magnitudes_to_the_bit(made):
    oracle = Oracle(made)
    signed = initial_of(made.cell("sign_reinit", 1)).state_dict()
    for name, value in signed.items():
        assert torch.equal(value.abs(), oracle.fresh[name].abs())
        assert torch.equal(value.signbit(), oracle.initial[name].signbit())
        assert not torch.equal(value, oracle.fresh[name])
    constant = initial_of(made.cell("signed_constant", 1)).state_dict()
    for name, value in constant.items():
        if name.endswith("weight"):
            assert torch.equal(value.signbit(), oracle.initial[name].signbit())
            assert len(value.abs().unique()) == 1
            assert float(value.std(correction=0)) == pytest.approx(
                float(oracle.initial[name].std()), rel=0.05
            )
        else:
            assert torch.equal(value, oracle.initial[name])


def plain_fresh(model, other):
    """No signs at all."""


def all_of_the_other(model, other):
    model.load_state_dict(other.state_dict())


def signs_of_weights_alone(model, other):
    with torch.no_grad():
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            if one.ndim > 1:
                one.copy_(torch.copysign(one, two))


def flipped(model, other):
    with torch.no_grad():
        for one, two in zip(model.parameters(), other.parameters(), strict=True):
            one.copy_(torch.copysign(one, -two))


def unsigned(model, names=None):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.fill_(parameter.double().std(correction=0).float())


def of_the_whole_net(model, names=None):
    weights = [p for p in model.parameters() if p.ndim > 1]
    deviation = torch.cat([w.detach().flatten() for w in weights]).std()
    with torch.no_grad():
        for weight in weights:
            weight.copy_(torch.copysign(deviation, weight))


def biases_too(model, names=None):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.copysign(parameter.double().std(correction=0), parameter))


def permutes_everything(model, mask, draws):
    permute_kept_(model, None, draws)


def permutes_over_layers(model, mask, draws):
    with torch.no_grad():
        weights = {n: p for n, p in model.named_parameters() if p.ndim > 1}
        values = torch.cat(
            [weights[n][kept] for n, kept in (mask or {}).items()] or [torch.empty(0)]
        )
        values = values[torch.randperm(len(values), generator=draws)]
        for name, kept in (mask or {}).items():
            own, values = values[: int(kept.sum())], values[int(kept.sum()) :]
            weights[name][kept] = own


def scales_by_the_layer(model, mask, input_dims):
    with torch.no_grad():
        for name, kept in mask.items():
            model.get_parameter(name).mul_(float((kept.numel() / kept.sum()).sqrt()))


def scales_by_the_outputs(model, mask, input_dims):
    scale_to_kept_inputs_(model, mask, dict.fromkeys(mask, 0))


# way of changing θ₀ → a function of what matters to it → what stands in the table
AS_WAYS: dict[str, Callable[..., Callable[..., None]]] = {
    "signs": lambda change: lambda model, mask, drawn, init: change(model, drawn(init)),
    "signed_constant": lambda change: lambda model, mask, drawn: change(model),
    "permuted": lambda change: (
        lambda model, mask, drawn, seed: change(model, mask, generator(seed))
    ),
    "scaled": lambda change: (
        lambda model, mask, drawn, input_dims=None: change(model, mask or {}, input_dims or {})
    ),
}


def wrong_weights(way: str, function: Callable[..., None]) -> Wrong:
    return lambda patch: patch.setitem(WAYS, way, AS_WAYS[way](function))


def wrong_row(arm: str, **changes: str) -> Wrong:
    entry = ARMS.entry(arm)
    wrong = Entry(arm, replace(entry.value, **changes), entry.is_user, Arm.code)
    return lambda patch: patch.setitem(ARMS._entries, arm, wrong)


def without(part: str) -> Wrong:
    def wrong(patch: pytest.MonkeyPatch) -> None:
        start = Chain.start
        patch.setattr(Chain, "start", lambda chain, at: replace(start(chain, at), **{part: None}))

    return wrong


def other_first_step(step: int) -> Wrong:
    return lambda patch: patch.setattr(Pipeline, "first_step", lambda pipeline, **points: step)


def rewinds_to_the_end_of_dense(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replicate, "rewind_point", lambda replicate: replicate.training(At()))


def follows_the_ticket(patch: pytest.MonkeyPatch) -> None:
    before = Chain.before
    patch.setattr(Chain, "before", lambda r, at: before(r, at)._replace(arm="ticket"))


def keeps_the_old_learning_rate(train, cell, *arguments):
    """As if a training that goes on at the end began its schedule anew."""
    recipe = cell.recipe.train.model_copy(update={"milestones": ()})
    return train(replace(cell, recipe=replace(cell.recipe, train=recipe)), *arguments)


def keeps_the_milestones(patch: pytest.MonkeyPatch) -> None:
    stretched = Setting.stretched

    def wrong(setting, num_steps):
        recipe = stretched(setting, num_steps)
        kept = {"milestones": setting.recipe.train.milestones}
        return replace(recipe, train=recipe.train.model_copy(update=kept))

    patch.setattr(Setting, "stretched", wrong)


def forgets_the_memory(train, cell, parents, workspace):
    names = {role: name for role, name in parents.names.items() if role != "optimizer"}
    return train(cell, replace(parents, names=names), workspace)


def counts_what_is_rewound(patch: pytest.MonkeyPatch) -> None:
    of = Setting.of
    patch.setattr(Setting, "of", lambda *about: replace(of(*about), rewind_step=0))


def prunes_a_step_late(patch: pytest.MonkeyPatch) -> None:
    density = Polynomial.density_at
    patch.setattr(Polynomial, "density_at", lambda schedule, step: density(schedule, step - 1))


def evolves_otherwise(arm: str, like: str | None = None, **options: Any) -> Wrong:
    """A policy of another recipe, in place of an arm's own."""
    kind = POLICIES[like or arm]
    made = kind._replace(make=functools.partial(kind.make, **options))
    entry = POLICIES.entry(arm)
    wrong = Entry(arm, made, entry.is_user, entry.code)
    return lambda patch: patch.setitem(POLICIES._entries, arm, wrong)


WRONG_TRAININGS = [
    ("sign_reinit", wrong_weights("signs", plain_fresh)),
    ("sign_reinit", wrong_weights("signs", all_of_the_other)),
    ("sign_reinit", wrong_weights("signs", signs_of_weights_alone)),
    ("sign_reinit", wrong_weights("signs", flipped)),
    ("signed_constant", wrong_weights("signed_constant", unsigned)),
    ("signed_constant", wrong_weights("signed_constant", of_the_whole_net)),
    ("signed_constant", wrong_weights("signed_constant", biases_too)),
    ("values_permuted", wrong_weights("permuted", permutes_everything)),
    ("values_permuted", wrong_weights("permuted", permutes_over_layers)),
    ("reinit_scaled", wrong_weights("scaled", lambda *arguments: None)),
    ("reinit_scaled", wrong_weights("scaled", scales_by_the_layer)),
    ("reinit_scaled", wrong_weights("scaled", scales_by_the_outputs)),
    ("reinit", wrong_row("reinit", weights="fresh_signed")),
    ("transfer", wrong_row("transfer", weights="initial")),
    ("ticket", without("weights")),
    ("ticket", without("memory")),
    ("ticket", other_first_step(0)),
    ("ticket", other_first_step(K + 1)),
    ("ticket", rewinds_to_the_end_of_dense),
    ("oneshot", without("weights")),
    ("lr_rewind", without("weights")),
    ("lr_rewind", other_first_step(WHOLE)),
    ("lr_rewind", follows_the_ticket),
    ("finetune", without("weights")),
    ("finetune", without("memory")),
    ("finetune", other_first_step(0)),
    ("finetune", wrong_maker("train", keeps_the_old_learning_rate)),
    ("finetune", wrong_maker("train", forgets_the_memory)),
    ("lth", other_first_step(K)),
    ("dense_long", keeps_the_milestones),
    ("gradual", prunes_a_step_late),
    ("set", evolves_otherwise("set", drop_fraction=0.2)),
    ("rigl", evolves_otherwise("rigl", end_step=WHOLE)),
    ("rigl", evolves_otherwise("rigl", distribution="uniform")),
    ("rigl", evolves_otherwise("rigl", every_steps=3)),
    ("rigl", evolves_otherwise("rigl", "set")),
    ("supermask", evolves_otherwise("supermask", lr=100.0)),
    ("supermask", evolves_otherwise("supermask", rescale=False)),
    ("supermask", evolves_otherwise("supermask", "edge_popup")),
    ("edge_popup", evolves_otherwise("edge_popup", values="initial")),
    ("edge_popup", evolves_otherwise("edge_popup", lr=0.2)),
    ("edge_popup", evolves_otherwise("edge_popup", schedule="recipe")),
    ("early_bird", evolves_otherwise("early_bird", window=4)),
    ("early_bird", evolves_otherwise("early_bird", distance=0.01)),
    ("early_bird", evolves_otherwise("early_bird", every_steps=3)),
    ("dense_long", counts_what_is_rewound),
]


@pytest.mark.parametrize(("arm", "wrong"), WRONG_TRAININGS)
def test_other_trainings_are_caught(arm, wrong, tmp_path, monkeypatch):
    wrong(monkeypatch)
    arms = dict.fromkeys([arm, "ticket"] if arm == "lth" else [arm])
    made = made_in(tmp_path, spec_of(list(arms)))
    with pytest.raises(AssertionError):
        check_trainings(made, arm)


# masks: by sorting


def highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The so many highest of a layer; of equal ones those that come first."""
    order = np.argsort(-scores.flatten().double().numpy(), kind="stable")
    kept = torch.zeros(scores.numel(), dtype=torch.bool)
    kept[torch.from_numpy(order[:count].copy())] = True
    return kept.view(scores.shape)


def chosen(scores: State, count: int, among: PruningMask | None = None) -> PruningMask:
    """The `count` highest of all."""
    flat = torch.cat([value.flatten() for value in scores.values()]).double()
    if among is not None:
        flat[~torch.cat([among[name].flatten() for name in scores])] = -torch.inf
    kept = torch.zeros(len(flat), dtype=torch.bool)
    kept[flat.argsort(descending=True)[:count]] = True
    parts = kept.split([value.numel() for value in scores.values()])
    return PruningMask.from_tensors(
        {name: part.view(scores[name].shape) for name, part in zip(scores, parts, strict=True)}
    )


def magnitudes(state: State) -> State:
    return {name: value.abs() for name, value in state.items() if name.endswith("weight")}


def mask_at_init(made: Made, criterion: str, count: int) -> PruningMask:
    data, root = load_dataset("digits").train, derive(made.spec.seed, "replicate", 0)
    model = model_of(made.cell("ticket", 0).inputs()["model"], derive(root, "init"))
    stream = generator(derive(root, "mask", "examples"))
    rows = torch.randperm(len(data), generator=stream)[:100]
    batches = [(data.x[part], data.y[part]) for part in rows.split(64)]
    return next_mask(
        criterion, PruningMask(model), Budget(count), model=model, batches=batches,
        input_shape=(64,),
    )  # fmt: skip


def wanted_mask(made: Made, arm: str, level: int) -> PruningMask:
    count, how = made.plan.budgets[level].total, EXPECTED[arm].mask
    if how == "own":
        among = made.mask(arm, level - 1) if level > 1 else None
        return chosen(magnitudes(made.trained(arm, level - 1)), count, among)
    if how == "ticket":
        return made.mask("ticket", level)
    if how.endswith("'s last"):
        return made.mask(how.removesuffix("'s last"), level)
    if how.startswith("the other's"):
        other = made.partner()
        mask = other.mask("ticket", level)
        if how == "the other's":
            return mask
        model = model_of(made.cell("ticket", 0).inputs()["model"], 0)
        model.load_state_dict(made.trained("ticket", 0))
        found = align(other.trained("ticket", 0), to=model, example=torch.zeros(1, 64))
        assert found.num_moved
        assert counts(found.apply(mask)) == counts(mask)
        return found.apply(mask)
    if how in MOVING:
        return PruningMask.from_tensors(Oracle(made).training(arm, level).mask)
    if how.endswith("of dense"):
        scores = magnitudes(made.trained("ticket", 0))
        if how.startswith("lowest"):
            scores = {name: -value for name, value in scores.items()}
        return chosen(scores, count)
    return mask_at_init(made, how, count)


def check_masks(made: Made, arm: str) -> None:
    """They keep what they should, exactly as many, and nest as they must."""
    masks = [made.mask(arm, level) for level in LEVELS[1:]]
    for level, mask in zip(LEVELS[1:], masks, strict=True):
        budget = made.plan.budgets[level]
        assert mask.num_kept == made.row(arm, level).num_kept == budget.total
        how = EXPECTED[arm].mask
        if how == "shuffled":
            ticket = made.mask("ticket", level)
            assert mask != ticket
            assert counts(mask) == counts(ticket)
        elif how == "random":
            apart = (mask[name] != made.mask("ticket", level)[name] for name in mask)
            assert sum(int(each.sum()) for each in apart) > mask.num_kept / 4
        elif how == "source":
            assert mask == made.mask("ticket", level)  # of the run that they come from
        else:
            assert mask == wanted_mask(made, arm, level)
    # rounds on the way to other counts are other rounds
    apart = ("shuffled", "iterative_snip", "force", *MOVING)
    if EXPECTED[arm].mask not in apart and not EXPECTED[arm].mask.endswith("'s last"):
        assert masks[1].is_nested_in(masks[0])


def counts(mask: PruningMask) -> list[int]:
    return [int(kept.sum()) for kept in mask.values()]


def from_elsewhere(folder, made: Made) -> Made:
    """A run in which the ticket is that of the source, and `transfer` the transferred one."""
    source = made_in(folder, spec_of(["ticket"], train=ELSEWHERE))

    class Both(Made):
        def mask(self, arm: str, level: int) -> PruningMask:
            return (source if arm == "ticket" else made).mask(arm, level)

    return Both(made.store, made.plan)


MASKED = [arm for arm, expected in EXPECTED.items() if expected.mask != "none"]


@pytest.mark.parametrize("arm", MASKED)
def test_masks_are_those_of_sorted_scores(arm, made, tmp_path):
    is_transferred = EXPECTED[arm].mask == "source"
    check_masks(from_elsewhere(tmp_path, made) if is_transferred else made, arm)


LAYERWISE = [arm for arm in MASKED if EXPECTED[arm].mask != "random"]


@pytest.mark.parametrize("arm", LAYERWISE)
def test_layerwise_masks_keep_exactly_as_many_of_each_layer(arm, layerwise):
    for level in LEVELS[1:]:
        wanted = dict(layerwise.plan.budgets[level].per_layer or ())
        mask = layerwise.mask(arm, level)
        assert {name: int(kept.sum()) for name, kept in mask.items()} == wanted
        if arm == "inverted":
            for name, kept in mask.items():
                weights = layerwise.trained("ticket", 0)[name].abs()
                assert weights[kept].max() <= weights[~kept].min()


def keeps_the_highest(make, cell, *arguments):
    return make(replace(cell, how=replace(cell.how, is_inverted=False)), *arguments)


def scores_other_weights(make, cell, *arguments):
    seen = cell.seen and replace(cell.seen, seed=cell.seen.seed + 1)
    return make(replace(cell, seen=seen), *arguments)


def scores_other_examples(make, cell, *arguments):
    if cell.seen is not None:
        examples = replace(cell.seen.examples, seed=cell.seen.examples.seed + 1)
        cell = replace(cell, seen=replace(cell.seen, examples=examples))
    return make(cell, *arguments)


def keeps_one_more(make, cell, *arguments):
    return make(replace(cell, how=replace(cell.how, keep=cell.how.keep + 1)), *arguments)


def aligns_the_wrong_way_round(make, cell, parents, workspace):
    names = dict(parents.names)
    if "other_weights" in names:
        names["weights"], names["other_weights"] = names["other_weights"], names["weights"]
    return make(cell, replace(parents, names=names), workspace)


def borrows_its_own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Replicate, "partner", lambda replicate: replicate)


def borrows_from_the_next(patch: pytest.MonkeyPatch) -> None:
    def following(replicate):
        return Replicate(replicate.draft, replicate.setting, replicate.number + 2)

    patch.setattr(Replicate, "partner", following)


WRONG_MASKS = [
    ("borrowed", borrows_its_own),
    ("borrowed", borrows_from_the_next),
    ("borrowed", wrong_row("borrowed", mask="aligned")),
    ("permuted", wrong_row("permuted", mask="borrowed")),
    ("permuted", wrong_maker("mask", aligns_the_wrong_way_round)),
    ("inverted", wrong_maker("mask", keeps_the_highest)),
    ("inverted", wrong_maker("mask", keeps_one_more)),
    ("inverted", wrong_row("inverted", mask="own")),
    ("oneshot", wrong_row("oneshot", mask="own")),
    ("lr_rewind", wrong_row("lr_rewind", mask="oneshot")),
    ("lth", follows_the_ticket),
    ("finetune", follows_the_ticket),
    ("reinit", wrong_row("reinit", mask="oneshot")),
    ("sign_reinit", wrong_row("sign_reinit", mask="shuffled")),
    ("shuffled", wrong_row("shuffled", mask="ticket")),
    ("shuffled", wrong_row("shuffled", mask="random")),
    ("random", wrong_row("random", mask="ticket")),
    ("transfer", wrong_row("transfer", mask="ticket")),
    ("magnitude_init", wrong_maker("mask", scores_other_weights)),
    ("magnitude_init", wrong_row("magnitude_init", mask="oneshot")),
    ("snip", wrong_maker("mask", scores_other_examples)),
    ("grasp", wrong_maker("mask", scores_other_examples)),
]


@pytest.mark.parametrize(("arm", "wrong"), WRONG_MASKS)
def test_other_masks_are_caught(arm, wrong, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        wrong(patch)
        made = made_in(tmp_path / "wrong", spec_of(["ticket", arm]))
    if EXPECTED[arm].mask == "source":
        made = from_elsewhere(tmp_path / "source", made)
    with pytest.raises(AssertionError):
        check_masks(made, arm)
