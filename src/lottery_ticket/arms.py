"""The arms of an experiment, a row for each: where its masks and its weights come from, and all
that is said and drawn of it. `register_arm` adds one of your own."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry

__all__ = ["ARMS", "FINETUNE", "REINIT", "TICKET", "Arm", "register_arm"]

TICKET = "ticket"
"""The arm that all others are compared with."""

REINIT = "reinit"
"""The control that a winning ticket must beat."""

FINETUNE = "finetune"
"""The pipeline that goes on at the last learning rate."""


@dataclass(frozen=True)
class Arm:
    """How the trainings of an arm come about, and how it is told of.

    Args:
        mask: `"own"` (pruned from its own trainings, level by level), `"ticket"`, `"shuffled"`,
            `"random"`, `"oneshot"` (pruned once from the dense net), `"inverted"` (the same, but
            the lowest scores are kept), `"at_init"` (by `criterion` from θ₀), `"source"` (the
            tickets of another data set or recipe), `"borrowed"` (the tickets of another replicate),
            `"aligned"` (the same, their units permuted as the dense net they are from is aligned to
            this replicate's), `"during"` (by `policy`, while it trains),
            `"moved"` (those that the arm `masks_of` ended with),
            `"narrow"`: none, in a narrower net, or `"none"`: none, in a training as long as the
            whole search, of the last level alone. Or a function `(mask, generator) → mask` of the
            ticket's mask, which keeps as many weights.
        weights: `"initial"` (θ₀, or what the pipeline takes instead), `"fresh"`,
            `"fresh_signed"` (fresh magnitudes, the signs of θ₀), `"fresh_scaled"` (fresh, and
            larger where an output reads fewer inputs), `"permuted"` (the kept values of θ₀, each
            layer's among its kept places), `"signed_constant"`, or `"source"` (those of the
            tickets of `"source"`). Or a function `(model, mask, generator) → None` that changes
            the model at θ₀ in place.
        pipeline: a name in `lottery_ticket.pruning.PIPELINES`; None for the ticket's own: `lth`,
            or `rewind` where a rewind step is given. `register_arm` makes it `lth` where weights
            are not `"initial"`.
        criterion: what its masks are made with, if not with the experiment's criterion.
        policy: a name in `lottery_ticket.pruning.POLICIES`, of an arm whose mask changes during its
            trainings.
        has_draws: whether several draws of it in one replicate make sense.
        meaning: what it is, in a sentence or two, for who reads a report.
        shows: what matters where the ticket beats it: `"mask positions"`; empty where it says
            nothing of why.
        color, marker: how it is drawn everywhere: `"#0072B2"`, and a marker of matplotlib.
        masks_of: an arm whose mask changes during its trainings, of one that takes its last ones.
    """

    mask: str | Callable[..., Any] = "own"
    weights: str | Callable[..., Any] = "initial"
    pipeline: str | None = None
    criterion: str | None = None
    policy: str | None = None
    has_draws: bool = False
    meaning: str = ""
    shows: str = ""
    color: str = ""
    marker: str = ""
    masks_of: str = ""

    @property
    def depends_on_rewind(self) -> bool:
        """Whether it is rewound as the ticket is, or takes masks or length of tickets that are."""
        return self.pipeline is None or self.takes_masks or self.is_long

    @property
    def takes_masks(self) -> bool:
        """Whether its masks are those of tickets."""
        return callable(self.mask) or self.mask in ("ticket", "source") or self.borrows

    @property
    def borrows(self) -> bool:
        """Whether its masks are those of another replicate."""
        return self.mask in ("borrowed", "aligned")

    @property
    def branches(self) -> bool:
        """Whether its masks are made of tickets' of its level, its own replicate's or another's."""
        return callable(self.mask) or self.mask in ("ticket", "shuffled", "borrowed", "aligned")

    @property
    def is_long(self) -> bool:
        """Whether it trains a dense net for as long as a whole search."""
        return self.mask == "none"

    @property
    def draws_weights(self) -> bool:
        """Whether its initial weights are not θ₀ but drawn anew."""
        return isinstance(self.weights, str) and self.weights.startswith("fresh")

    def code(self) -> tuple[Callable[..., Any], ...]:
        """Functions of its own."""
        return tuple(part for part in (self.mask, self.weights) if callable(part))


ARMS: Registry[Arm] = Registry(
    "arm", "; one of your own is registered with --import FILE.py", code=Arm.code
)
"""The arms by name, in the order in which they are listed."""

_MASKS = (
    *("own", "ticket", "shuffled", "random", "oneshot", "inverted", "at_init", "during"),
    *("borrowed", "aligned"),
)
_WEIGHTS = ("initial", "fresh", "fresh_signed", "fresh_scaled", "permuted", "signed_constant")
# that figures and the page can draw
_MARKERS = (*"osHp43d8^D<h2v>XP|+x1*_.", *(f"${letter}$" for letter in "NZSEFIBHAT"))
_PIPELINES = ("lth", "rewind", "lr_rewind", "finetune", "at_init")


def register_arm(
    name: str,
    *,
    mask: str | Callable[..., Any] = "ticket",
    weights: str | Callable[..., Any] = "initial",
    pipeline: str | None = None,
    criterion: str | None = None,
    policy: str | None = None,
    has_draws: bool = False,
    meaning: str = "",
    shows: str = "",
    color: str = "",
    marker: str = "",
) -> Arm:
    """Let specs list an arm of one's own: `arms: [ticket, reinit, name]`.

    It is planned, trained, judged, drawn and exported as the library's own are.

    Args:
        name: what specs and tables call it.
        mask: where its masks come from, see `Arm`; or a function `(mask, generator) → mask` of the
            ticket's mask: names → bool tensors, keeping as many weights in all.
        weights: where its weights come from, see `Arm`; or a function
            `(model, mask, generator) → None` that changes the model at θ₀ in place.
        pipeline, criterion, policy, has_draws, meaning, shows, color, marker: see `Arm`.

    Raises:
        UsageError: the name is taken, or a word is none that is known.

    >>> import torch
    >>> def negated(model, mask, generator):
    ...     with torch.no_grad():
    ...         for parameter in model.parameters():
    ...             parameter.neg_()
    >>> register_arm("negated", weights=negated, meaning="The ticket with every sign flipped.").mask
    'ticket'
    """
    for what, value, known in (
        ("mask", mask, _MASKS),
        ("weights", weights, _WEIGHTS),
        ("pipeline", pipeline, _PIPELINES),
    ):
        if value is not None and not callable(value) and value not in known:
            raise UsageError(f"arm {name!r}: {what}: got {value!r}, wanted {_listed(known)}")
    if color and not re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
        raise UsageError(f"arm {name!r}: color: got {color!r}, wanted one such as '#0072B2'")
    if marker and marker not in _MARKERS:
        known = " ".join(_MARKERS)
        raise UsageError(f"arm {name!r}: marker: got {marker!r}, wanted one of {known}")
    if mask == "at_init" and criterion is None:
        raise UsageError(f"arm {name!r}: mask 'at_init' wants the name of a criterion")
    if mask == "at_init" and pipeline is None:
        pipeline = "at_init"
    if (mask == "during") != (policy is not None):
        raise UsageError(
            f"arm {name!r}: mask 'during' and the name of a policy go together, neither is any "
            "good alone"
        )
    if pipeline is None and (mask == "during" or weights != "initial"):
        pipeline = "lth"  # one that rewinds to a step would put other weights in their place
    if weights != "initial" and pipeline not in ("lth", "at_init"):
        raise UsageError(
            f"arm {name!r}: pipeline {pipeline!r} takes weights from a training, never those of "
            "weights=; leave one of them out"
        )
    arm = Arm(
        mask, weights, pipeline, criterion, policy, has_draws, meaning, shows, color, marker
    )  # fmt: skip
    ARMS.add(name, arm, is_user=True)
    return arm


def _listed(names: Iterable[str]) -> str:
    return f"a function, or one of: {', '.join(names)}"


for _name, _arm in {
    TICKET: Arm(
        color="#0072B2",
        marker="o",
        meaning="The mask found by training and pruning, and the weights it keeps at the values "
        "they had at the very beginning (or at an early step, where the spec says rewind).",
    ),
    "transfer": Arm(
        "source",
        "source",
        "lth",
        color="#0000FF",
        marker="p",
        meaning="Tickets found on other data, or by another recipe, trained here.",
    ),
    # what the weights do
    REINIT: Arm(
        "ticket",
        "fresh",
        "lth",
        has_draws=True,
        color="#D55E00",
        marker="s",
        shows="initial values",
        meaning="A control: the ticket's mask, but fresh random weights under it. If it does as "
        "well as the ticket, the initial values are nothing special.",
    ),
    "transfer_reinit": Arm(
        "source",
        "fresh",
        "lth",
        has_draws=True,
        color="#402000",
        marker="H",
        meaning="A control of transfer: its masks, but fresh random weights under them.",
    ),
    "reinit_scaled": Arm(
        "ticket",
        "fresh_scaled",
        "lth",
        has_draws=True,
        color="#E04060",
        marker="4",
        shows="more than the scale of initial values",
        meaning="A control: as reinit, but the fresh weights are scaled to the inputs that each "
        "unit keeps. If it does as well as the ticket, the scale was all.",
    ),
    "values_permuted": Arm(
        "ticket",
        "permuted",
        "lth",
        has_draws=True,
        color="#2040A0",
        marker="3",
        shows="which weight has which value",
        meaning="A control: the ticket's mask and its initial values, permuted among the kept "
        "weights of each layer.",
    ),
    "sign_reinit": Arm(
        "ticket",
        "fresh_signed",
        "lth",
        has_draws=True,
        color="#9F4020",
        marker="d",
        meaning="A control: as reinit, but each fresh weight has the sign that it had at first.",
    ),
    "signed_constant": Arm(
        "ticket",
        "signed_constant",
        "lth",
        color="#604040",
        marker="8",
        meaning="A control: the ticket's mask, and of its initial values the signs alone: all of a "
        "layer are of one size.",
    ),
    # what the mask does
    "shuffled": Arm(
        "shuffled",
        has_draws=True,
        color="#009E73",
        marker="^",
        shows="mask positions",
        meaning="A control: the ticket's initial weights, but its mask permuted within each layer.",
    ),
    "random": Arm(
        "random",
        criterion="random",
        has_draws=True,
        color="#CC79A7",
        marker="D",
        meaning="A control: the initial weights under a random mask of as many weights.",
    ),
    "borrowed": Arm(
        "borrowed",
        color="#A08060",
        marker="$T$",
        shows="which initial values a mask was found with",
        meaning="A control: the initial weights under the ticket's mask of another replicate, "
        "which was found from other initial weights.",
    ),
    "permuted": Arm(
        "aligned",
        color="#605080",
        marker="$A$",
        meaning="As borrowed, but the mask's units are first put into this replicate's order: as "
        "the dense network that it was found from is aligned to the one here. If it does as well "
        "as the ticket, a mask fits other initial values once the units agree.",
    ),
    "inverted": Arm(
        "inverted",
        color="#80BF60",
        marker="<",
        meaning="A control: of the dense network's weights the least are kept, not the largest.",
    ),
    "dense_small": Arm(
        "narrow",
        pipeline="lth",
        color="#404060",
        marker="h",
        meaning="A control: a narrower dense network of about as many weights.",
    ),
    # what the search does
    "dense_long": Arm(
        "none",
        pipeline="lth",
        color="#806000",
        marker="2",
        meaning="A control: the dense network, trained for as long as the whole search took.",
    ),
    "oneshot": Arm(
        "oneshot",
        color="#E69F00",
        marker="v",
        shows="the iterative search",
        meaning="A control: pruned once from the dense network instead of level by level.",
    ),
    "lth": Arm(
        pipeline="lth",
        color="#8080FF",
        marker=">",
        meaning="The ticket rewound to the very beginning, where the spec's is rewound to a step.",
    ),
    "lr_rewind": Arm(
        pipeline="lr_rewind",
        color="#000000",
        marker="X",
        meaning="Pruned level by level: the trained weights stay, and the whole schedule of "
        "learning rates is gone through again.",
    ),
    "finetune": Arm(
        pipeline="finetune",
        color="#56B4E9",
        marker="P",
        meaning="Pruned level by level: the trained weights stay, and are trained on at the last "
        "learning rate.",
    ),
    "gradual": Arm(
        "during",
        pipeline="lth",
        policy="gradual",
        color="#E000E0",
        marker="|",
        meaning="Pruned while it trains, little by little, in one training from the initial "
        "weights.",
    ),
    "static": Arm(
        "during",
        pipeline="lth",
        policy="static",
        color="#A0A0A0",
        marker="_",
        meaning="Sparse from the first step on: a random mask, narrow layers kept denser (ERK), "
        "which stays.",
    ),
    "set": Arm(
        "during",
        pipeline="lth",
        policy="set",
        color="#F0C000",
        marker=".",
        meaning="Sparse from the first step on, by SET: now and then the smallest weights of each "
        "layer are dropped, and as many grow at random.",
    ),
    "rigl": Arm(
        "during",
        pipeline="lth",
        policy="rigl",
        color="#00A0C0",
        marker="$N$",
        meaning="Sparse from the first step on, by RigL: now and then the smallest weights of each "
        "layer are dropped, and as many grow where the dense gradient is largest.",
    ),
    "rigl_mask": Arm(
        "moved",
        pipeline="lth",
        masks_of="rigl",
        color="#006070",
        marker="$Z$",
        meaning="The mask that RigL ended with, trained again from the initial weights. If it does "
        "as well as RigL, moving was but a way to find it.",
    ),
    "supermask": Arm(
        "during",
        pipeline="lth",
        policy="supermask",
        color="#A06000",
        marker="$S$",
        meaning="No weight is trained: which ones are kept is, by chances of each that are learnt. "
        "Each weight that is kept has the sign that it had at first, and one size in its layer.",
    ),
    "edge_popup": Arm(
        "during",
        pipeline="lth",
        policy="edge_popup",
        color="#A00000",
        marker="$E$",
        meaning="No weight is trained: which ones are kept is, by a score of each that is learnt. "
        "Each weight that is kept has the sign that it had at first, and one size in its layer.",
    ),
    "early_bird": Arm(
        "during",
        pipeline="lth",
        policy="early_bird",
        color="#8C6BB1",
        marker="$B$",
        meaning="An early-bird ticket: dense until the mask that pruning now would give no longer "
        "changes, then pruned at once and trained on.",
    ),
    "early_bird_mask": Arm(
        "moved",
        pipeline="lth",
        masks_of="early_bird",
        color="#4D3A78",
        marker="$H$",
        meaning="The early-bird mask, trained again from the initial weights: a ticket that was "
        "found before the dense training was over.",
    ),
    "magnitude_init": Arm(
        "at_init",
        pipeline="at_init",
        criterion="magnitude",
        color="#000080",
        marker="+",
        meaning="Pruned before any training, by the size of the initial weights.",
    ),
    "snip": Arm(
        "at_init",
        pipeline="at_init",
        criterion="snip",
        color="#900070",
        marker="x",
        meaning="Pruned before any training, by SNIP: what its removal would do to the loss.",
    ),
    "grasp": Arm(
        "at_init",
        pipeline="at_init",
        criterion="grasp",
        color="#305000",
        marker="1",
        meaning="Pruned before any training, by GraSP: what its removal would do to the gradient.",
    ),
    "synflow": Arm(
        "at_init",
        pipeline="at_init",
        criterion="synflow",
        color="#40DF9F",
        marker="*",
        meaning="Pruned before any training, by SynFlow: the paths through it, without any data.",
    ),
    "iterative_snip": Arm(
        "at_init",
        pipeline="at_init",
        criterion="iterative_snip",
        color="#C050A0",
        marker="$I$",
        meaning="Pruned before any training, by SNIP in many rounds: each scores what is left.",
    ),
    "force": Arm(
        "at_init",
        pipeline="at_init",
        criterion="force",
        color="#60007F",
        marker="$F$",
        meaning="Pruned before any training, by FORCE: as SNIP in many rounds, in which weights "
        "that were left out may come back.",
    ),
}.items():
    ARMS.add(_name, _arm)
