"""Engine and finder carry out one chain: the same masks, and trainings from the same weights."""

import pytest
from every_arm import Made, State, digest, made_in, spec_of

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.arms import TICKET
from lottery_ticket.chain import Chain
from lottery_ticket.experiment import recorded_initial
from lottery_ticket.finder._controls import controls
from lottery_ticket.models import MODELS
from lottery_ticket.seeds import derive

# gradient criteria look at other examples, and a policy at steps of a real training
APART = (
    "snip",
    "grasp",
    "synflow",
    "iterative_snip",
    "force",
    "gradual",
    "static",
    "set",
    "rigl",
    "early_bird",
)
ARMS = [TICKET, *(arm for arm in controls() if arm not in APART)]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return made_in(tmp_path_factory.mktemp("store"), spec_of(ARMS, rewind="0it"))


def start_of(made: Made, arm: str, level: int) -> State:
    """What the engine began a training with."""
    record = made.record(made.row(arm, level).cell)
    mask = made.mask(arm, level) if level else None
    model = recorded_initial(record, mask)
    if mask is not None:
        mask.apply(model)
    return {name: value.clone() for name, value in model.state_dict().items()}


def search(made: Made) -> LotteryTicketFinder:
    """The same with the finder; its `train_fn` knows what each training became in the engine."""
    places = iter([*((TICKET, level) for level in (0, 1, 2)), *((arm, 2) for arm in ARMS[1:])])

    def train(model, mask):
        place = next(places)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        assert digest(state) == digest(start_of(made, *place)), place
        model.load_state_dict(made.trained(*place))

    model, seed = made.spec.model.name, derive(made.spec.seed, "replicate", 0)
    finder = LotteryTicketFinder(MODELS[model], made.plan.inputs.model_options, seed=seed)
    finder.find_winning_ticket(
        train_fn=train, eval_fn=lambda model: 1.0, target_sparsity=0.64, pruning_rounds=2,
        verbose=False,
    )  # fmt: skip
    finder.verify(train, lambda model: 1.0, arms=ARMS[1:], verbose=False)
    return finder


def check_story(made: Made) -> None:
    finder = search(made)  # each of its trainings began as the engine's did
    masks = finder.results.search.masks
    assert [mask.num_kept for mask in masks] == [made.row(TICKET, n).num_kept for n in (0, 1, 2)]
    assert all(masks[level] == made.mask(TICKET, level) for level in (1, 2))


def test_they_tell_the_same_story(made):
    check_story(made)


WRONG = {
    "weights_seed": lambda chain, at: chain.seed("fresh", at.arm),
    "change": lambda chain, at: None,
    "before": lambda chain, at: at._replace(level=0),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_story_is_caught(name, made, monkeypatch):
    monkeypatch.setattr(Chain, name, WRONG[name])
    with pytest.raises(AssertionError):
        check_story(made)
