"""`LotteryTicketFinder`: iterative pruning of anyone's model with anyone's training loop."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket.arms import ARMS, REINIT
from lottery_ticket.chain import At
from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import LotteryError, UsageError, known_keywords, nearest
from lottery_ticket.finder._arguments import (
    as_folder,
    check_name,
    checked_functions,
    whole_number,
    within,
)
from lottery_ticket.finder._controls import controls, trains_scores, why_no_scores
from lottery_ticket.finder._folder import load_search, save_search
from lottery_ticket.finder._keeping import Keeper, code_of, continued, keeper_of
from lottery_ticket.finder._live import LiveChain
from lottery_ticket.finder._method import Method, chosen_schedule
from lottery_ticket.finder._model import ModelSource, chosen_device
from lottery_ticket.finder._packed import PackedMasks
from lottery_ticket.finder._plain import described_example
from lottery_ticket.finder._problems import metric_problems
from lottery_ticket.finder._results import TicketResults
from lottery_ticket.finder._search import Row, Search
from lottery_ticket.finder._told import Told, search_id, telling
from lottery_ticket.finder._training import (
    EvalFn,
    TrainFn,
    evaluated,
    restore_,
    state_on_cpu,
)
from lottery_ticket.masks import Budget, PruningMask, copied_model
from lottery_ticket.names import lazy_names
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.pruning import Pipeline, Schedule, inputs_seen
from lottery_ticket.seeds import derive
from lottery_ticket.store import Store
from lottery_ticket.tensor_files import made_sense_of
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin, versions
from lottery_ticket.tracking import TICKET_FILE, Hook, Listeners

__all__ = ["LotteryTicketFinder"]

_MAX_COUNT = 2**63  # of what records hold


_FINDER_TAKES_IT = {
    name: f"the finder does: LotteryTicketFinder({name}=…)"
    for name in ("targets", "ignore", "min_size", "seed", "mode", "device", "model_fn")
}


class LotteryTicketFinder:
    """Find a winning ticket in your own model, with your own training loop.

    Each training starts from a stream of torch's global random state that depends on `seed` and
    the level alone, and the caller's random state is left as it was: a search is reproducible,
    and one that was stopped continues as if it had not been.

    Args:
        model_class: builds a fresh model; needed for the `reinit` control unless `model_fn` is
            given. One of this library's makes the ticket file small: it needs no weights.
        model_kwargs: its arguments.
        device: where to train, such as `"cuda"`; None leaves a given model where it is.
        model_fn: builds a fresh model, called without arguments, instead of `model_class`.
        seed: root of all random streams.
        mode: `"max"` if a higher value of `eval_fn` is better, else `"min"`.
        targets, ignore, min_size: which parameters are prunable; see `PruningMask`.

    Raises:
        UsageError: both or odd sources of a model, an unknown mode, a device that is not here.

    >>> x, y = torch.randn(64, 8), torch.randint(2, (64,))
    >>> def train_fn(model, mask):
    ...     optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ...     for _ in range(5):
    ...         optimizer.zero_grad()
    ...         nn.functional.cross_entropy(model(x), y).backward()
    ...         optimizer.step()
    >>> def eval_fn(model):
    ...     return (model(x).argmax(1) == y).float().mean().item()
    >>> finder = LotteryTicketFinder(model_fn=lambda: nn.Linear(8, 2))
    >>> model, mask, results = finder.find_winning_ticket(
    ...     train_fn=train_fn, eval_fn=eval_fn, target_sparsity=0.5, pruning_rounds=2, verbose=False
    ... )
    >>> mask.num_kept, len(results.table), bool((model.weight == 0).sum() == 8)
    (8, 3, True)

    Source: Frankle & Carbin 2019; other pipelines as `lottery_ticket.pruning.PIPELINES` says.
    """

    initial_state: dict[str, torch.Tensor]
    """θ₀, on the CPU; there once a search has begun or was loaded."""

    mask: PruningMask
    """The mask of the ticket found last."""

    _repr_html_ = notebook_html

    @known_keywords("LotteryTicketFinder")
    def __init__(
        self,
        model_class: Callable[..., nn.Module] | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        device: str | torch.device | None = None,
        *,
        model_fn: Callable[[], nn.Module] | None = None,
        seed: int = 0,
        mode: str = "max",
        targets: Sequence[Any] | None = None,
        ignore: Sequence[Any] = (),
        min_size: int = 0,
    ) -> None:
        if mode not in ("max", "min"):
            raise UsageError(f"mode: got {mode!r}{nearest(mode, ('max', 'min'))}")
        self._source = ModelSource(
            model_class, {} if model_kwargs is None else model_kwargs, model_fn
        )
        self._device = chosen_device(device)
        self._seed = whole_number("seed", seed)
        self._mode = mode
        self._prunable = {"targets": targets, "ignore": ignore, "min_size": min_size}
        self._search: Search | None = None
        self._method: Method | None = None
        self._model: nn.Module | None = None
        self._keeper: Keeper | None = None
        self._tracked_id = ""  # what trackers know the search by
        self._num_asked: dict[tuple[str, int], int] = {}  # draws of a control at a level

    @known_keywords("find_winning_ticket", elsewhere=_FINDER_TAKES_IT)
    def find_winning_ticket(
        self,
        model: nn.Module | None = None,
        train_fn: TrainFn | None = None,
        eval_fn: EvalFn | None = None,
        target_sparsity: float | None = None,
        pruning_rounds: int | None = None,
        verbose: bool = True,
        *,
        schedule: Schedule | None = None,
        criterion: CriterionLike = "magnitude",
        scope: str = "global",
        structure: str = "unstructured",
        pipeline: str | Pipeline = "lth",
        rewind_step: int | None = None,
        min_layer_density: float = 0.0,
        batches: Iterable[Any] | None = None,
        loss: Callable[..., torch.Tensor] | None = None,
        batch_loss: Callable[..., torch.Tensor] | None = None,
        max_drop: float | None = None,
        resume: str | Path | Store | None = None,
        name: str | None = None,
        track: object = None,
        on_level: Hook | None = None,
        on_record: Hook | None = None,
    ) -> tuple[nn.Module, PruningMask, TicketResults]:
        """Train, prune, rewind, repeat.

        Args:
            model: the model to find a ticket in; trained in place. None builds one.
            train_fn: `train_fn(model, mask) -> None` trains the model. Its gradients are masked
                while it runs, whether or not it uses the mask. For pipelines that start elsewhere
                than step 0 of the learning-rate schedule it also takes `start_step`. One that takes
                `attached` gets the mask at work (`Attachment`), for checkpoints of its own.
            eval_fn: `eval_fn(model) -> float`, an accuracy (fraction or percent), or a loss with
                `mode="min"`. It is called once before any training, so that a mistake in it costs
                nothing.
            target_sparsity: fraction of *all* prunable weights to prune (default 0.9), reached
                exactly; with channels as nearly as whole ones allow, which `results` shows.
            pruning_rounds: levels after the dense one, in equal ratios; `pruning_rounds=4` trains
                five times. By default as many as prune about 20 % each.
            verbose: print a line after each training.
            schedule: other levels than `target_sparsity` in `pruning_rounds`: `iterative(…)`,
                `densities(…)`, `one_shot(…)`.
            criterion: name of a criterion, or your own function of what it needs.
            scope: `"global"`, `"layerwise"` or `"erk"`.
            structure: `"unstructured"`, `"2:4"`, `"block:4x4"` or `"channel"`. Channels are those
                of convolutions, and of other layers if `targets` asks for them; the model's output,
                found by following what `eval_fn` runs it on, is only cut if `targets` has its own
                name. What is not cut is in neither count: `mask.left_out` says why.
            pipeline: `"lth"`, `"rewind"`, `"lr_rewind"`, `"finetune"`, `"at_init"`, or a
                `Pipeline`.
            rewind_step: k, in optimiser steps, where the pipeline rewinds to θ_k.
            min_layer_density: no layer falls below this density.
            batches: for criteria that need data: `[(x, y), …]` or a loader.
            loss: for criteria that need one, `loss(output, target)`; cross-entropy by default.
            batch_loss: `batch_loss(model, batch)` instead, for batches that are no `(x, y)`.
            max_drop: stop once `eval_fn` is worse than dense by more than this, and return the
                sparsest ticket that is not.
            resume: where to keep each finished level, and to continue from: a folder of this search
                alone, or a store, `Store("lottery_runs")`, or the path of one that is there. In a
                store the search is a run, for `lottery table`, `verdict`, `report`, `plot`,
                `export`; searches that differ by their `seed` alone are its replicates.
            name: what the search is called; by default as its model. In a store a search of
                another name is another search.
            track: where to follow it, too: `"mlflow"`, `"tensorboard"`, …, as of
                `lottery_ticket.run`; it gets the ticket at the end.
            on_level: is called with a `lottery_ticket.tracking.Record` of each level, once it is
                trained and judged; of those that were finished before, too.
            on_record: is called with each measurement, which in a search is the same.

        Returns:
            The model with the trained ticket, its mask, and the results. With `model=` given it is
            that model. A `train_fn` that wrote pruned weights, or trained something else than the
            model it was given, makes the results invalid (`results.problems`); nothing is repaired.

        Raises:
            UsageError: something does not fit; said before anything trains where that can be. Or
                `train_fn` left a model that cannot be rewound: with other names, shapes or ties.
            DataError: the folder in `resume` is damaged or cannot be written.
        """
        method = Method.checked(
            criterion,
            pipeline,
            rewind_step,
            batches,
            scope=scope,
            structure=structure,
            min_layer_density=min_layer_density,
            seed=self._seed,
            loss=loss,
            batch_loss=batch_loss,
        )
        train_fn, eval_fn = self._functions(train_fn, eval_fn, method)
        max_drop = None if max_drop is None else within("max_drop", max_drop)
        check_name(name)
        listeners = Listeners.checked(track, on_level, on_record)
        model, origin = self._model_and_origin(model)
        dense = PruningMask(model, **self._prunable)
        levels = chosen_schedule(schedule, target_sparsity, pruning_rounds, method.pipeline)
        dense = method.layers(model, dense, lambda: evaluated(eval_fn, model))
        shapes = {name: tuple(kept.shape) for name, kept in dense.items()}
        floor = 0.0 if method.has_channels else method.min_layer_density
        budgets = levels.budgets(shapes, scope=scope, min_layer_density=floor)
        method.check_structure(model, dense, budgets)
        method.check_batches(model, dense)
        settings = {
            "name": name or self._source.name,
            "model": self._described(model, origin),
            "mode": self._mode,
            "replicate": 0,
            "layers": {name: list(shape) for name, shape in shapes.items()},
            "schedule": repr(levels),
            "max_drop": max_drop,
            "origin": origin,
            **method.settings,
        }
        # as they will be read again: a tuple becomes a list
        settings = json.loads(json.dumps(settings, default=repr))
        keeper = keeper_of(resume, settings, [keep.total for keep in budgets])
        own = {"criterion": criterion, "loss": loss, "batch_loss": batch_loss}
        code = code_of(train_fn=train_fn, eval_fn=eval_fn, **own)
        with _at_work(keeper):
            search = None if keeper is None else keeper.resumed()
            if search is None:
                masks = PackedMasks([dense])
                search = Search(settings, state_on_cpu(model), masks=masks, code=code)
            elif verbose:
                print(f"{keeper}: {continued(search, code)}", flush=True)
            self.initial_state, self._search, self._method = search.initial, search, method
            self._model, self._keeper, self._num_asked = model, keeper, {}
            self._tracked_id = search_id(search, keeper)
            self._train_levels(
                model, train_fn, eval_fn, budgets, verbose=verbose, listeners=listeners
            )
        restore_(model, search.best)
        found = search.masks[search.best_level].to(_device_of(model))
        self.mask = found.told_by(dense)  # no file holds that
        return model, self.mask, self.results

    @known_keywords("verify")
    def verify(
        self,
        train_fn: TrainFn,
        eval_fn: EvalFn,
        arms: Sequence[str] = ("reinit",),
        replicates: int = 1,
        verbose: bool = True,
        *,
        track: object = None,
        on_level: Hook | None = None,
        on_record: Hook | None = None,
    ) -> TicketResults:
        """Train controls at the ticket's density.

        Args:
            train_fn, eval_fn: as in `find_winning_ticket`.
            arms: `"reinit"` (the ticket's mask, fresh initial weights), `"shuffled"` (the mask
                permuted within layers), `"random"` (a random mask of the same density),
                `"oneshot"` (the trained dense net pruned once), `"inverted"` (the same, the least
                kept); these four from the ticket's own initial weights. Under the ticket's mask
                other weights: `"reinit_scaled"`, `"sign_reinit"`, `"signed_constant"`,
                `"values_permuted"`. Without a search: `"gradual"` (pruned while it trains),
                `"static"`, `"set"`, `"rigl"` (sparse from the first step on, with a mask that stays
                or moves), `"early_bird"` (dense until its mask has settled), and
                `"magnitude_init"`, `"snip"`, `"grasp"`, `"synflow"`, `"iterative_snip"`, `"force"`
                (pruned before any training; all but the first by the `batches` of the search). And
                arms of your own (`register_arm`).
            replicates: draws of each control that draws; `oneshot` draws nothing and is trained
                once. They are *draws* in the table: this search is one replicate, however many
                there are. For independent replicates search again under another `seed`.
            verbose: print a line after each training.
            track, on_level, on_record: as in `find_winning_ticket`.

        Returns:
            The results of the search, with these trainings added.

        Raises:
            UsageError: nothing was found yet, an unknown arm, or `reinit` without a way to build
                the model anew.
        """
        search, method = self._found()
        train_fn, eval_fn = self._functions(train_fn, eval_fn, method)
        replicates = whole_number("replicates", replicates, least=1)
        self._check_arms(arms, train_fn)
        listeners = Listeners.checked(track, on_level, on_record)
        with _at_work(self._keeper), self._telling(listeners) as told:
            for arm in arms:
                first = self._num_asked.get((arm, search.best_level), 0)
                draws = range(first, first + replicates) if controls()[arm].has_draws else [0]
                missing = self._missing(arm, draws)
                for row in self._controls_there(arm, set(draws) - set(missing)):
                    told(row)
                for draw in missing:
                    self._train_control(arm, draw, train_fn, eval_fn)
                    told(search.rows[-1])
                    if verbose:
                        print(self.results.line(search.rows[-1]), flush=True)
                self._num_asked[arm, search.best_level] = first + replicates
        return self.results

    def _missing(self, arm: str, draws: Iterable[int]) -> list[int]:
        """Of the draws that a call asks for those that were not there when the search was resumed,
        or when a call before this one failed."""
        search = self._begun()[0]
        there = {r.draw for r in search.rows if r.arm == arm and r.level == search.best_level}
        return [draw for draw in draws if draw not in there]

    def _controls_there(self, arm: str, draws: Container[int]) -> list[Row]:
        search = self._begun()[0]
        of_arm = [r for r in search.rows if r.arm == arm and r.level == search.best_level]
        return [row for row in of_arm if row.draw in draws]

    def _telling(
        self, listeners: Listeners, levels: Sequence[int] = ()
    ) -> contextlib.AbstractContextManager[Told]:
        search, run_id = self._begun()[0], self._tracked_id
        return telling(listeners, search, self._keeper, run_id, levels, self._files)

    def _files(self, folder: Path, note: Callable[[str], None]) -> list[tuple[str, Path]]:
        """What trackers get of a search: its results as text, and the ticket."""
        results, ticket = folder / "results.txt", folder / TICKET_FILE
        results.write_text(f"{self.results}\n", encoding="utf-8")
        try:
            self.ticket().save(ticket)
        except LotteryError as error:
            note(f"track: no ticket is sent: {error}")
            return [(results.name, results)]
        return [(results.name, results), (ticket.name, ticket)]

    def verify_random_ticket(self, train_fn: TrainFn, eval_fn: EvalFn) -> float:
        """`eval_fn` of the ticket's mask trained from fresh initial weights: the `reinit` control.

        Raises:
            UsageError: nothing was found yet, or there is no `model_class` or `model_fn`.
        """
        results = self.verify(train_fn, eval_fn, arms=[REINIT], verbose=False)
        return results.control(REINIT)[-1]

    @property
    def results(self) -> TicketResults:
        """The trainings so far; those of controls join them as they are made."""
        return TicketResults(self._found()[0])

    def ticket(self, *, trained: bool = True) -> Ticket:
        """The ticket found: its mask, where its weights come from, and how it was found.

        A model of this library's that the finder built itself needs no weights in the file: its
        name and seed say them. Otherwise the kept ones of θ₀, or of θ_k, are stored.

        Args:
            trained: keep the trained weights too.

        Raises:
            UsageError: nothing was found yet, or the results up to the ticket are invalid.

        >>> finder.ticket().save("mine.ticket.safetensors")  # doctest: +SKIP
        """
        search, method = self._found()
        chain = [r.problems for r in search.chain[: search.best_level + 1]]
        if any(chain):
            raise UsageError(f"ticket: the results are invalid: {self.results.problems[0]}")
        made_by = search.settings["origin"]
        rewound = search.rewind_point if method.pipeline.weights_from == "rewind" else None
        if made_by is not None and rewound is None:
            origin = ModelOrigin.of(made_by["model"], made_by["seed"], **made_by["options"])
        elif rewound is not None:
            origin = WeightsOrigin(rewound.weights, rewound.step)
        else:
            origin = WeightsOrigin(search.initial)
        row = search.chain[search.best_level]
        return Ticket(
            mask=search.masks[search.best_level],
            origin=origin,
            metrics={"metric": row.metric, "dense": search.chain[0].metric, "mode": self._mode},
            provenance={**versions(), "level": search.best_level, **method.settings},
            trained=search.best if trained else None,
        )

    def save_experiment(self, folder: str | Path, results: TicketResults | None = None) -> None:
        """Save mask, θ₀, trained weights and results into a folder, as safetensors and JSON.

        Args:
            folder: made if it is not there.
            results: those to save; by default this finder's.

        Raises:
            UsageError: nothing was found yet.
            DataError: the folder cannot be written.
        """
        path = as_folder("folder", folder)
        search = self._begun()[0] if results is None else results.search
        save_search(search, path)

    def load_experiment(self, folder: str | Path) -> TicketResults:
        """Take over a search that was saved: `mask`, `initial_state`, and the results returned.

        Raises:
            DataError: there is none, or it is damaged.
            UsageError: it was made with another `mode`.
        """
        search = load_search(as_folder("folder", folder))
        if search.settings.get("mode") != self._mode:
            raise UsageError(
                f"{folder}: the search has mode {search.settings.get('mode')!r}, "
                f"this finder {self._mode!r}"
            )
        with made_sense_of(folder, "saved search", "; it is damaged"):
            method, mask = Method.of_settings(search.settings), search.masks[search.best_level]
        self._search, self._method, self.mask = search, method, mask
        self._keeper, self._num_asked = None, {}
        self._tracked_id = search_id(search, None)
        for row in search.rows:  # a further call draws further ones
            key = row.arm, row.level
            self._num_asked[key] = max(self._num_asked.get(key, 0), row.draw + 1)
        self.initial_state = search.initial
        return self.results

    def _functions(
        self, train_fn: object, eval_fn: object, method: Method
    ) -> tuple[TrainFn, EvalFn]:
        return checked_functions(
            train_fn, eval_fn, starts_later=method.starts_later, mode=self._mode
        )

    def _begun(self) -> tuple[Search, Method]:
        if self._search is None or self._method is None:
            raise UsageError("nothing was found yet; call find_winning_ticket or load_experiment")
        return self._search, self._method

    def _found(self) -> tuple[Search, Method]:
        """The search, once its dense net is trained and judged."""
        if self._search is not None and not self._search.rows:
            raise UsageError("nothing was found yet: no training was finished")
        return self._begun()

    def _check_arms(self, arms: Sequence[str], train_fn: TrainFn) -> None:
        """Each control is known, can be made, and is one: a mistake in the last costs nothing."""
        search, method = self._begun()
        if isinstance(arms, str) or not isinstance(arms, Iterable):
            raise UsageError(f"arms: got {arms!r}, wanted a list such as ['reinit', 'shuffled']")
        for arm in arms:
            if arm not in (known := controls()):
                if trains_scores(arm):
                    raise UsageError(why_no_scores(arm))
                if arm in ARMS and ARMS[arm].borrows:
                    raise UsageError(
                        f"{arm}: a search is one replicate and has no other to borrow a mask from; "
                        "`lottery run` a spec with this arm"
                    )
                raise UsageError(f"unknown control {arm!r}{nearest(arm, known)}")
        if any(ARMS[arm].draws_weights for arm in arms):
            fresh = state_on_cpu(self._built(derive(method.seed, "control", "reinit", 0)))
            if all(
                name in fresh and torch.equal(fresh[name], search.initial[name])
                for name in search.masks[0]
            ):
                raise UsageError(
                    "reinit: the model is built with the very weights that the search began "
                    "with, whatever the seed; it must draw them from torch's random numbers"
                )
        chain = self._chain(self._model_for_control(), train_fn)
        for arm in arms:
            chain.check(At(arm, search.best_level))

    def _built(self, seed: int) -> nn.Module:
        model = self._source.build(seed)
        if model is self._model:
            raise UsageError(
                f"{self._source.name} returned the model that was searched already; it must build "
                "a fresh one each time"
            )
        return model

    def _model_and_origin(self, model: nn.Module | None) -> tuple[nn.Module, dict[str, Any] | None]:
        """The model to search in, and by which name and seed this library can build it again."""
        origin = None
        if model is None:
            seed = derive(self._seed, "init")
            model = self._built(seed)
            if self._source.registered_name is not None:
                name, options = self._source.registered_name, dict(self._source.model_kwargs)
                origin = {"model": name, "options": options, "seed": seed}
        elif not isinstance(model, nn.Module):
            raise UsageError(f"model: got {type(model).__name__}, wanted a torch.nn.Module")
        _check_has_shapes(model)
        return (model if self._device is None else model.to(self._device)), origin

    def _chain(
        self, model: nn.Module, train_fn: TrainFn, budgets: Sequence[Budget] = ()
    ) -> LiveChain:
        search, method = self._begun()
        return LiveChain(search, method, model, train_fn, self._built, budgets)

    def _described(self, model: nn.Module, origin: Mapping[str, Any] | None) -> dict[str, Any]:
        """The model as records have it: its name, and those options that are plain values."""
        if origin is not None:
            return {"name": origin["model"], **origin["options"]}
        maker = self._source.model_class
        options = self._source.model_kwargs if isinstance(maker, type) else {}
        plain = {key: value for key, value in options.items() if _is_plain(value)}
        made = maker is not None or self._source.model_fn is not None
        name = self._source.registered_name or self._source.name
        return {**plain, "name": name if made else type(model).__name__}

    def _train_levels(
        self,
        model: nn.Module,
        train_fn: TrainFn,
        eval_fn: EvalFn,
        budgets: Sequence[Budget],
        *,
        verbose: bool,
        listeners: Listeners,
    ) -> None:
        search, keeper = self._begun()[0], self._keeper
        if not search.rows and search.unrated is None:
            example = inputs_seen(model, lambda: evaluated(eval_fn, model))
            search.example = described_example(example)
        if keeper is not None and len(search.chain) < len(budgets) and not search.has_fallen:
            keeper.save(search)  # so that it is known to work before anything trains
        chain = self._chain(model, train_fn, budgets)
        with self._telling(listeners, range(len(budgets))) as told:
            for row in search.chain:
                told(row)
            for level in range(len(search.chain), len(budgets)):
                if search.has_fallen:
                    break
                with _saving(search, keeper):
                    self._train_level(chain, level, eval_fn, is_last=level + 1 == len(budgets))
                told(search.rows[-1])
                if verbose:
                    print(self.results.line(search.rows[-1]), flush=True)

    def _train_level(self, chain: LiveChain, level: int, eval_fn: EvalFn, *, is_last: bool) -> None:
        search = chain.search
        if search.unrated is None:
            chain.training(At(level=level))
        else:
            restore_(chain.model, search.trained)
        metric = evaluated(eval_fn, chain.model)
        assert search.unrated is not None
        search.add(_rated(search.unrated, metric))
        if not is_last:
            chain.mask(At(level=level + 1))

    def _train_control(self, arm: str, draw: int, train_fn: TrainFn, eval_fn: EvalFn) -> None:
        search = self._begun()[0]
        chain = self._chain(self._model_for_control(), train_fn)
        net = chain.training(At(arm, search.best_level, draw))
        assert chain.row is not None
        assert chain.last_mask is not None
        row = _rated(chain.row, evaluated(eval_fn, chain.model))
        search.rows.append(row)
        if self._keeper is not None:
            self._keeper.keep_control(search, row, chain.last_mask, net)

    def _model_for_control(self) -> nn.Module:
        """A model to train, so that the one with the ticket stays as it is."""
        if self._model is not None:
            return copied_model(self._model)
        model = self._source.build(0)
        return model if self._device is None else model.to(self._device)


def _check_has_shapes(model: nn.Module) -> None:
    if lazy := lazy_names(model):
        raise UsageError(
            f"the model's {lazy[0]!r} has no shape yet (a lazy layer); run the model once on an "
            "example before it is returned by model_fn, or passed as model="
        )


@contextlib.contextmanager
def _saving(search: Search, keeper: Keeper | None) -> Iterator[None]:
    """A block after which the search is saved; after an error too, if a training was finished."""
    before = len(search.rows), search.unrated
    try:
        yield
    finally:
        if keeper is not None and (len(search.rows), search.unrated) != before:
            keeper.save(search)


def _at_work(keeper: Keeper | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if keeper is None else keeper.at_work()


def _is_plain(value: object) -> bool:
    """Whether JSON holds it as it is, so that records can."""
    items = value if isinstance(value, list | tuple) else [value]
    return all(
        item is None
        or (isinstance(item, str) and item.isprintable())
        or (isinstance(item, int) and abs(item) < _MAX_COUNT)
        or (isinstance(item, float) and math.isfinite(item))
        for item in items
    )


def _rated(row: Row, metric: float) -> Row:
    return dataclasses.replace(row, metric=metric, problems=row.problems + metric_problems(metric))


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
