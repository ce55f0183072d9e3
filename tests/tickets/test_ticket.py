import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from small_tickets import (
    PLAIN,
    SMALL,
    bits,
    drawn_ticket,
    normed,
    random_mask,
    same_bits,
    stored_ticket,
)
from torch import nn

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin, versions


def through_a_file(ticket):
    return Ticket.from_bytes(ticket.to_bytes())


def masked(weights, mask):
    """θ ⊙ mask, the pruned exactly +0.0, slow and plainly right."""
    return {
        name: torch.tensor(
            np.where(mask[name].numpy(), value.numpy(), np.float32(0.0)), dtype=value.dtype
        )
        if name in mask
        else value.clone()
        for name, value in weights.items()
    }


def check_rebuilds(build_ticket):
    """A seed is enough: bit-equal to θ₀ where kept, +0.0 elsewhere, all else as it was."""
    drawn = build("LeNet300", 7, **SMALL)
    ticket = drawn_ticket()
    before = torch.get_rng_state()
    model = build_ticket(through_a_file(ticket))
    assert torch.equal(torch.get_rng_state(), before)
    assert type(model) is type(drawn)
    assert same_bits(model.state_dict(), masked(drawn.state_dict(), ticket.mask))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_rebuilds():
    check_rebuilds(Ticket.build)


def with_another_seed(ticket):
    return ticket.mask.apply(build("LeNet300", 8, **SMALL))


def without_its_mask(ticket):
    return build("LeNet300", 7, **SMALL)


def multiplied(ticket):
    model = build("LeNet300", 7, **SMALL)
    for name, parameter in model.named_parameters():
        if name in ticket.mask:
            parameter.data *= ticket.mask[name]
    return model


def without_its_biases(ticket):
    model = ticket.build()
    model.fc1.bias.data.zero_()
    return model


def under_a_global_seed(ticket):
    torch.manual_seed(7)
    return ticket.build()


@pytest.mark.parametrize(
    "mutant",
    [with_another_seed, without_its_mask, multiplied, without_its_biases, under_a_global_seed],
)
def test_other_rebuildings_are_caught(mutant):
    with pytest.raises(AssertionError), torch.random.fork_rng(devices=[]):
        check_rebuilds(mutant)


def test_lenet_300_100_at_level_20_is_a_few_kilobytes():
    drawn = build("LeNet300", 3)
    mask = random_mask(drawn, 3069)
    data = Ticket(mask, ModelOrigin.of("LeNet300", 3)).to_bytes()
    assert len(data) < 5_000
    model = Ticket.from_bytes(data).build()
    assert same_bits(model.state_dict(), masked(drawn.state_dict(), mask))


def check_refuses_other_weights(weights):
    ticket = drawn_ticket(provenance=versions() | {"torch": "1.2.3"})
    other = replace(ticket, origin=replace(ticket.origin, seed=8))
    assert weights(ticket)
    message = "other weights were taken"
    try:
        weights(other)
    except DataError as error:
        message = str(error)
    found = ModelOrigin.of("LeNet300", 8, **SMALL).sha256
    assert f"SHA-256 {found}, wanted {ticket.origin.sha256}" in message
    assert "The ticket was made with lottery_ticket" in message
    assert "torch 1.2.3" in message
    assert f"this is lottery_ticket {versions()['lottery_ticket']}, torch {torch.__version__}," in (
        message
    )
    assert "ticket.with_weights().save(path)" in message


@pytest.mark.parametrize(
    "weights",
    [
        Ticket.weights,
        Ticket.build,
        Ticket.with_weights,
        lambda ticket: ticket.apply(build("LeNet300", 0, **SMALL)),
    ],
)
def test_weights_that_are_drawn_otherwise_are_refused(weights):
    check_refuses_other_weights(weights)


def test_taking_other_weights_is_caught():
    with pytest.raises(AssertionError):
        check_refuses_other_weights(lambda ticket: ticket.build(verify=False))


def test_a_ticket_with_its_weights_needs_no_seed():
    ticket = drawn_ticket()
    for weights in ("kept", "all"):
        stored = through_a_file(ticket.with_weights(weights))
        assert stored.origin.weights == weights
        assert (stored.origin.model, stored.origin.step) == ("LeNet300", 0)
        assert stored.metrics == ticket.metrics
        assert same_bits(stored.weights(), ticket.weights())
        assert same_bits(stored.build().state_dict(), ticket.build().state_dict())
    assert same_bits(stored.origin.tensors, build("LeNet300", 7, **SMALL).state_dict())


def test_an_origin_that_keeps_less_does_not_claim_more():
    whole = stored_ticket("all")
    assert whole.with_weights("kept").origin.weights == "kept"
    assert whole.with_weights("all") == whole
    with pytest.raises(UsageError, match="stores the kept weights alone, the others may be lost"):
        stored_ticket("kept").with_weights("all")


@pytest.mark.parametrize("weights", ["kept", "all"])
def test_stored_tensors_with_buffers(weights):
    ticket = through_a_file(stored_ticket(weights))
    wanted = normed().state_dict()
    assert ticket.origin.step == 500
    if weights == "all":
        assert same_bits(ticket.origin.tensors, wanted)
    assert same_bits(ticket.weights(), masked(wanted, ticket.mask))
    with pytest.raises(UsageError, match=r"does not name its model.*ticket\.apply\(model\)"):
        ticket.build()


def test_kept_weights_alone_are_stored():
    few, many = (len(stored_ticket("kept", num_kept=n).to_bytes()) for n in (10, 700))
    assert many - few > 2000
    whole = len(stored_ticket("all", num_kept=10).to_bytes())
    assert whole - few > 2700


def test_apply_to_a_model_of_ones_own():
    ticket = stored_ticket()
    model = normed()
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(9)
    parameters = dict(model.named_parameters())
    assert ticket.apply(model) is model
    assert same_bits(model.state_dict(), masked(normed().state_dict(), ticket.mask))
    assert all(value is parameters[name] for name, value in model.named_parameters())


def test_apply_to_a_wrapped_model():
    ticket = stored_ticket()
    wanted = masked(normed().state_dict(), ticket.mask)
    compiled = torch.compile(normed(), backend="eager")
    ticket.apply(compiled)
    again = Ticket(ticket.mask, WeightsOrigin(compiled.state_dict()))
    assert same_bits(again.weights(), wanted)
    parallel = ticket.apply(nn.DataParallel(normed()))
    assert same_bits(parallel.module.state_dict(), wanted)


def test_apply_to_another_model_leaves_it_as_it_was():
    ticket = stored_ticket()
    for other in (
        nn.Sequential(*list(normed())[:3]),
        nn.Sequential(*list(normed())[:3], nn.Linear(144, 6)),
        nn.Sequential(*normed(), nn.Linear(5, 5)),
    ):
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(
            UsageError, match=r"in the ticket and .* in the model; the ticket is for"
        ):
            ticket.apply(other)
        assert same_bits(other.state_dict(), before)


def trained_state(ticket, step=0.5):
    return {
        name: torch.where(ticket.mask[name], value + step, 0.0) if name in ticket.mask else value
        for name, value in ticket.weights().items()
    }


@pytest.mark.parametrize("ticket", [drawn_ticket(), stored_ticket()])
def test_trained_weights(ticket):
    trained = trained_state(ticket)
    shipped = through_a_file(replace(ticket, trained=trained))
    assert same_bits(shipped.weights(trained=True), trained)
    assert same_bits(shipped.weights(), through_a_file(ticket).weights())
    assert "trained weights" in repr(shipped)
    with pytest.raises(UsageError, match="holds no trained weights"):
        ticket.weights(trained=True)


def test_the_trained_ticket_needs_no_equal_draw():
    ticket = drawn_ticket()
    trained = trained_state(ticket)
    elsewhere = replace(ticket, trained=trained, origin=replace(ticket.origin, sha256="0" * 64))
    model = through_a_file(elsewhere).build(trained=True)
    assert same_bits(model.state_dict(), trained)


def test_trained_weights_that_are_not_this_tickets():
    ticket = drawn_ticket()
    for value in (1e-40, float("nan")):
        trained = trained_state(ticket)
        trained["fc1.weight"].view(-1)[(~ticket.mask["fc1.weight"]).view(-1).nonzero()[0]] = value
        with pytest.raises(UsageError, match="trained: not zero where the mask prunes"):
            replace(ticket, trained=trained)
    with pytest.raises(UsageError, match=r"trained: no tensor 'fc1\.weight', which the mask names"):
        replace(ticket, trained={})


def test_a_tied_parameter_is_zero_under_both_names():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    mask = PruningMask.from_tensors({"0.weight": torch.eye(3, dtype=torch.bool)})
    for weights in ("kept", "all"):
        ticket = Ticket(mask, WeightsOrigin(model.state_dict(), weights=weights))
        found = ticket.weights()
        assert found["1.weight"].tolist() == found["0.weight"].tolist()
        applied = through_a_file(ticket).apply(copy.deepcopy(model))
        assert applied[1].weight.tolist() == found["0.weight"].tolist()
        assert int(found["1.weight"].count_nonzero()) == 3


def test_layers_that_look_alike_are_not_tied():
    state = {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}
    mask = PruningMask.from_tensors({"a": torch.eye(2, dtype=torch.bool)})
    for ticket in (
        Ticket(mask, WeightsOrigin(state)),
        through_a_file(Ticket(mask, WeightsOrigin(state))),
    ):
        assert ticket.weights()["b"].tolist() == [[1, 1], [1, 1]]


def test_is_a_value():
    ticket = stored_ticket()
    assert ticket == stored_ticket()
    assert ticket == through_a_file(ticket)
    assert ticket == pickle.loads(pickle.dumps(ticket)) == copy.deepcopy(ticket)
    assert ticket != stored_ticket(num_kept=99)
    assert ticket != replace(ticket, metrics={})
    assert ticket != "ticket"
    with pytest.raises(TypeError, match="unhashable"):
        hash(ticket)
    with pytest.raises(FrozenInstanceError):
        ticket.metrics = {}
    assert ticket.density == ticket.mask.density == pytest.approx(100 / 756)


def test_repr():
    kept = "40 of 151 weights kept, density 0.2649, 3 layers"
    assert repr(drawn_ticket()) == f"Ticket({kept}; LeNet300 with seed 7)"
    assert repr(drawn_ticket().with_weights()) == (
        f"Ticket({kept}; LeNet300 with stored weights of step 0 (kept))"
    )
    assert repr(stored_ticket("all")).endswith("; stored weights of step 500 (all))")


def test_arguments_are_not_changed():
    weights = normed().state_dict()
    before = copy.deepcopy(weights)
    mask = random_mask(normed(), 50)
    kept = copy.deepcopy(mask)
    ticket = Ticket(mask, WeightsOrigin(weights))
    ticket.weights()["0.weight"].fill_(3)
    ticket.to_bytes()
    ticket.apply(normed())
    assert same_bits(weights, before)
    assert mask == kept


def test_provenance_says_by_default_what_it_was_made_with():
    ticket = Ticket(random_mask(normed(), 50), WeightsOrigin(normed().state_dict()))
    assert ticket.provenance == versions()
    assert ticket.provenance["torch"] == torch.__version__


@pytest.mark.parametrize("field", ["metrics", "provenance"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"loss": float("nan")}, "'loss' is not plain JSON .*; use None, bool, int, finite float"),
        ({"when": {1, 2}}, "'when' is not plain JSON"),
        ({"accuracy": np.float32(0.5)}, "'accuracy' is not plain JSON"),
        ({3: "level"}, "wanted text as keys, got 3"),
        (["level"], "wanted a mapping, got list"),
    ],
)
def test_values_that_are_not_json(field, value, problem):
    with pytest.raises(UsageError, match=f"{field}: .*{problem}"):
        drawn_ticket(**{field: value})


def test_values_are_as_a_file_gives_them():
    ticket = drawn_ticket(metrics={"shape": (1, 2), "accuracy": np.float64(0.1), "big": 2**70})
    assert ticket.metrics == {"shape": [1, 2], "accuracy": 0.1, "big": 2**70}
    assert through_a_file(ticket).metrics == ticket.metrics


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: WeightsOrigin({}, weights="most"), "origin.weights: 'most'; valid: all, kept"),
        (lambda: WeightsOrigin({}, step=-1), "origin.step: -1, wanted a number of steps"),
        (lambda: WeightsOrigin({}, step=True), "origin.step: True"),
        (lambda: WeightsOrigin({"w": 3}), "origin.tensors: 'w' is a int, wanted a tensor"),
        (
            lambda: WeightsOrigin({"w": torch.ones(2, device="meta")}),
            "origin.tensors: 'w' is not a plain dense tensor with values",
        ),
        (lambda: WeightsOrigin({"w": torch.ones(2).to_sparse()}), "'w' is not a plain dense"),
        (lambda: ModelOrigin("LeNet300", "3", ""), "origin.seed: '3', wanted a whole number"),
        (lambda: ModelOrigin("LeNet300", 3, "", {"x": {1}}), "origin.options: 'x' is not plain"),
        (lambda: ModelOrigin.of("LeNet", 3), "unknown model 'LeNet'; did you mean"),
        (
            lambda: Ticket(random_mask(normed(), 9), WeightsOrigin({})),
            "origin.tensors: no tensor '0.weight', which the mask names",
        ),
        (
            lambda: Ticket(
                PruningMask.from_tensors({"w": torch.ones(2, dtype=bool)}),
                WeightsOrigin({"w": torch.ones(3)}),
            ),
            r"'w' has shape \(3,\), its mask has \(2,\)",
        ),
        (
            lambda: Ticket(random_mask(normed(), 9), ModelOrigin.of("LeNet300", 3)).build(),
            "model 'LeNet300': no tensor '0.weight', which the mask names",
        ),
    ],
)
def test_what_does_not_fit(make, problem):
    with pytest.raises(UsageError, match=problem):
        make()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype):
    weights = {n: v.to(dtype) for n, v in build("LeNet300", 0, **SMALL).state_dict().items()}
    mask = random_mask(build("LeNet300", 0, **SMALL), 40)
    ticket = through_a_file(Ticket(mask, WeightsOrigin(weights), **PLAIN))
    for name, value in ticket.weights().items():
        assert value.dtype == dtype
        kept = mask.get(name, torch.ones_like(value, dtype=bool))
        assert bits(value[kept]) == bits(weights[name][kept])
        assert not value[~kept].any()
