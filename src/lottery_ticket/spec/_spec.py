"""A whole spec: its arms, and what has no effect with what."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from lottery_ticket.arms import ARMS, FINETUNE, REINIT, TICKET
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.data import DATASETS, dataset_options
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import SCOPES
from lottery_ticket.pruning import POLICIES
from lottery_ticket.registry import check_options, options_of, shown
from lottery_ticket.spec._base import DurationText, Float, Record, one_of
from lottery_ticket.spec._grid import checked_grid
from lottery_ticket.spec._lengths import check_lengths
from lottery_ticket.spec._prune import PruneSpec
from lottery_ticket.spec._records import DataSpec, ModelSpec, TrainSpec
from lottery_ticket.spec._until_decided import UntilDecidedSpec
from lottery_ticket.steps import Duration
from lottery_ticket.train import TASKS

__all__ = ["ArmSpec", "ClaimSpec", "SourceSpec", "Spec"]


class ArmSpec(Record):
    """One arm; in YAML its name alone, or `{reinit: {draws: 3}}`.

    `stretch` trains each of its levels below dense so many times as long, its schedule stretched;
    `policy` holds options of the policy that changes its mask.
    """

    name: Annotated[str, one_of(ARMS)]
    draws: int = Field(1, gt=0, le=1000)
    stretch: int | None = Field(None, gt=1, le=1000)
    policy: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and "name" not in value:
            if len(value) != 1:
                raise ValueError(f"{shown(value)} is not one arm; each is an item of its own")
            ((name, options),) = value.items()
            if not isinstance(options, dict) or "name" in options:
                raise ValueError(f"write {{{name}: {{draws: 3}}}} or {name}")
            return {"name": name, **options}
        if not isinstance(value, dict | ArmSpec):
            raise ValueError(f"got {shown(value)}; write an arm's name or {{reinit: {{draws: 3}}}}")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.draws > 1 and not ARMS[self.name].has_draws:
            raise ValueError(f"arm {self.name!r} draws nothing, so draws has no effect")
        policy = ARMS[self.name].policy
        if self.policy and policy is None:
            raise ValueError(f"arm {self.name!r} has no policy, so policy has no effect")
        if policy is not None:
            known = options_of(POLICIES[policy].make, given=1)
            check_options(f"policy {policy!r}", self.policy, known)
        if self.stretch is not None and ARMS[self.name].pipeline == FINETUNE:
            raise ValueError(
                f"arm {self.name!r} goes on at the last learning rate of another training, which "
                "has no schedule to stretch; use lr_rewind"
            )
        return self


class SourceSpec(Record):
    """Where the tickets of the arms `transfer` come from: the same experiment but for this.

    `level` trains one level of them alone, beside the dense net.
    """

    data: DataSpec | None = None
    train: TrainSpec | None = None
    level: Annotated[int, Field(gt=0)] | None = None


class ClaimSpec(Record):
    """The one level that an experiment is about, by its number or by its density."""

    level: Annotated[int, Field(gt=0)] | None = None
    density: Annotated[Float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.level is None) == (self.density is None):
            raise ValueError("write {level: 12} or {density: 0.05}, one of them")
        return self


def _grid(value: object) -> object:
    return None if value is None else checked_grid(value)


class Spec(Record):
    """An experiment."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)
    data: DataSpec
    model: ModelSpec
    train: TrainSpec
    prune: PruneSpec
    rewind: DurationText = "0it"
    arms: Annotated[tuple[ArmSpec, ...], Field(strict=False)] = (
        ArmSpec(name=TICKET, draws=1, stretch=None, policy={}),
    )
    replicates: int = Field(1, gt=0, le=10_000)
    seed: int = Field(0, ge=0, lt=2**63)
    source: SourceSpec | None = None
    until_decided: UntilDecidedSpec | None = None
    # how the results are read, not how they are made: it renames nothing
    margin: Annotated[Float, Field(gt=0, lt=100)] | None = Field(None, exclude=True)
    claim: ClaimSpec | None = Field(None, exclude=True)
    # which runs are made of it beside one another: each has a name of its own
    sweep: Annotated[dict[str, tuple[Any, ...]], BeforeValidator(_grid)] | None = Field(
        None, exclude=True
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [arm.name for arm in self.arms]
        if not names:
            raise ValueError("arms: none is listed; write at least one, such as [ticket]")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"arms: {sorted(twice)[0]!r} is listed twice; use draws for more")
        self.check_lengths()
        self._check_rewind(names)
        self._check_source(names)
        if self.prune.once and "oneshot" in names:
            raise ValueError("arms: with prune.once the ticket is 'oneshot' itself; leave it out")
        self._check_rounds(names)
        self._check_aligned(names)
        self._check_policies(names)
        finetuned = [name for name in names if ARMS[name].pipeline == FINETUNE]
        if self.claim is not None and (missing := {TICKET, REINIT} - {*names}):
            raise ValueError(
                f"claim: a winning ticket is better than its reinit; add {sorted(missing)[0]!r} to "
                "the arms, or leave it out"
            )
        self._check_until_decided(names)
        if finetuned and self.train.schedule == "cosine":
            raise ValueError(
                f"arms: {finetuned[0]!r} goes on at the last learning rate, which is about 0 with "
                "schedule 'cosine'; use 'constant' or 'step', or the arm 'lr_rewind'"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("until_decided") is False:
            value = {key: inner for key, inner in value.items() if key != "until_decided"}
        return value

    @property
    def rewinds_later(self) -> bool:
        """Whether the ticket is rewound to a later step than 0."""
        return Duration.parse(self.rewind).count > 0

    def criterion_of(self, arm: str) -> tuple[str, dict[str, Any]]:
        """What the masks of an arm are made with, if with trained weights, and its options."""
        own = ARMS[arm].criterion
        return (self.prune.criterion, self.prune.criterion_options) if own is None else (own, {})

    def policy_options(self, arm: str) -> dict[str, Any]:
        """Options of the policy of an arm."""
        return next((dict(own.policy) for own in self.arms if own.name == arm), {})

    def stretch(self, arm: str) -> int:
        """How many times as long an arm trains below dense."""
        return next((own.stretch or 1 for own in self.arms if own.name == arm), 1)

    @property
    def data_said(self) -> DataSpec:
        """Its data, and of arrays that do not say it themselves, what y is: the loss says it."""
        known = dataset_options(self.data.name)
        if "task" not in known or DATASETS.entry(self.data.name).is_user:
            return self.data
        task = TASKS.get(self.train.loss)
        if task is None and "task" not in self.data.options:
            return self.data  # a loss of one's own that fits both: the labels say it
        said = {"name": self.data.name, **self.data.options}
        return DataSpec.model_validate({**said, "task": said.get("task") or task})

    @property
    def source_spec(self) -> "Spec | None":
        """The experiment that the tickets of `source` are found in."""
        if self.source is None:
            return None
        given = {"data": self.source.data, "train": self.source.train}
        changes: dict[str, Any] = {n: value for n, value in given.items() if value is not None}
        arms = (ArmSpec(name=TICKET, draws=1, stretch=None, policy={}),)
        changes |= {
            "arms": arms,
            "source": None,
            "claim": None,
            "sweep": None,
            "until_decided": None,
        }
        return Spec.model_validate({**dict(self), **changes})

    def check_lengths(self, steps_per_epoch: int | None = None) -> None:
        """`TrainSpec.check_lengths`, of the rewind step too."""
        self._check_lengths_of(self.train, steps_per_epoch)

    def _check_lengths_of(self, train: TrainSpec, steps_per_epoch: int | None) -> None:
        train.check_lengths(steps_per_epoch)
        check_lengths(duration=train.duration, rewind=self.rewind, steps_per_epoch=steps_per_epoch)

    def _check_rewind(self, names: list[str]) -> None:
        if not self.rewinds_later:
            if "lth" in names:
                raise ValueError(
                    "arms: 'lth' rewinds to step 0, as the ticket does here; leave it out, or set "
                    "rewind to a later step, such as 500it"
                )
            return
        if not any(ARMS[name].depends_on_rewind for name in names):
            raise ValueError(
                f"rewind: {self.rewind!r} has no effect on arms {names}; leave it out, or add "
                "'ticket'"
            )

    def _check_rounds(self, names: list[str]) -> None:
        for name in names if self.prune.n_of_m else ():
            criterion = ARMS[name].criterion
            if criterion is not None and (rounds := CRITERIA[criterion].rounds) > 1:
                raise ValueError(
                    f"arms: {name!r} prunes in {rounds} rounds of rising sparsity, and scope "
                    f"{self.prune.scope!r} has only its own levels; leave it out"
                )

    def _check_aligned(self, names: list[str]) -> None:
        aligned = [name for name in names if ARMS[name].mask == "aligned"]
        if aligned and self.prune.n_of_m:
            raise ValueError(
                f"arms: {aligned[0]!r} moves inputs among the groups of scope "
                f"{self.prune.scope!r}; leave it out, or use 'borrowed'"
            )

    def _check_policies(self, names: list[str]) -> None:
        for name in names:
            policy = ARMS[name].policy
            if policy is None:
                continue
            criterion, _ = self.criterion_of(name)
            wanting = sorted(CRITERIA[criterion].needs - {"weights", "mask", "generator"})
            if wanting and POLICIES[policy].uses_criterion:
                raise ValueError(
                    f"arms: {name!r} prunes while it trains, by weights alone, and criterion "
                    f"{criterion!r} needs {' and '.join(wanting)}; leave it out, or use magnitude"
                )
            if self.prune.scope not in SCOPES:
                raise ValueError(
                    f"arms: {name!r} prunes single weights while it trains, and scope "
                    f"{self.prune.scope!r} is a structure; leave it out"
                )

    def _check_until_decided(self, names: list[str]) -> None:
        if self.until_decided is None:
            return
        if missing := {TICKET, REINIT} - {*names}:
            raise ValueError(
                f"until_decided: a winning ticket is better than its reinit; add "
                f"{sorted(missing)[0]!r} to the arms, or leave it out"
            )
        if self.source is not None:
            raise ValueError(
                "until_decided: has no effect with source, which has the replicates of the run "
                "that it takes tickets from; leave it out"
            )

    def _check_source(self, names: list[str]) -> None:
        transferred = [name for name in names if ARMS[name].mask == "source"]
        if self.source is None:
            if transferred:
                raise ValueError(
                    f"arms: {transferred[0]!r} wants to know where its tickets come from; write "
                    "source: {data: {name: …}}, or use `lottery transfer`"
                )
            return
        if not transferred:
            raise ValueError(
                f"source has no effect on arms {names}; add 'transfer', or leave it out"
            )
        here = (self.data, self.train)
        if (self.source.data or self.data, self.source.train or self.train) == here:
            raise ValueError(
                "source is this very experiment; its data or its train must be another one"
            )
        try:
            self._check_lengths_of(self.source.train or self.train, None)
        except UsageError as error:
            raise ValueError(f"source: {error}") from None
        level, levels = self.source.level, self.prune.num_levels
        if level is not None and level > levels:
            raise ValueError(f"source.level: got {level}, wanted at most {levels}, prune's last")
