"""The format `seed`: a seed and a mask, and it predicts to the bit as the trained net does."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from lottery_ticket.api import load_run, run
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.export import PrunedModel, export, load_seed, read_seed
from lottery_ticket.models import MODELS, build
from lottery_ticket.pruning import MaskScores, prune
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

SPEC = {
    "name": "seeds",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [40, 20]},
    "train": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep"},
    "prune": {"densities": [0.2, 0.02]},
    "arms": ["ticket", "signed_constant", "supermask", "edge_popup"],
    "replicates": 1,
}
NETS = {"LeNet300": (20,), "ResNet20": (3, 8, 8), "LeNet5": (1, 28, 28)}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    store = tmp_path_factory.mktemp("seeds") / "store"
    run(SPEC, store=store, jobs=1, progress=False, keep="all")
    return load_run(store=store)


def trained(name="LeNet300", seed=3, *, density=0.1, policy="edge_popup", steps=3, **options):
    """A net as `MaskScores` leaves it, ready to be exported."""
    shape = {"LeNet300": {"input_size": 20, "hidden": [30, 10]}}.get(name, {})
    torch.manual_seed(0)
    x, y = torch.randn(16, *NETS[name]), torch.randint(10, (16,))
    model = build(name, seed, **shape)
    with MaskScores(model, policy, density=density, **options) as scores:
        optimizer = torch.optim.SGD(scores.parameters(), lr=scores.policy.lr)
        for _ in range(steps):
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    ticket = Ticket(scores.mask, ModelOrigin.of(name, seed, **shape), trained=model.state_dict())
    return PrunedModel.of_ticket(ticket, x)


def check_predicts_the_same(pruned, path):
    """From the file alone: the same weights, signs of zeros too, and the same outputs."""
    (file,) = export(pruned, format="seed", out=path).files
    assert file.max_difference == 0.0
    model = load_seed(path)
    assert not model.training
    found, wanted = model.state_dict(), pruned.model.state_dict()
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert torch.equal(found[name], value)
        assert torch.equal(found[name].signbit(), value.signbit())
        assert torch.equal(read_seed(path)[name], value)
    with torch.no_grad():
        assert torch.equal(model(pruned.inputs), pruned.outputs(pruned.inputs))
    return file


@pytest.mark.parametrize("policy", ["supermask", "edge_popup"])
@pytest.mark.parametrize(
    "options",
    [{}, {"rescale": False}, {"values": "initial"}, {"values": "initial", "rescale": False}],
)
@pytest.mark.parametrize("density", [0.3, 0.02])
def test_a_seed_and_a_mask_predict_the_same(policy, options, density, tmp_path):
    pruned = trained(policy=policy, density=density, **options)
    check_predicts_the_same(pruned, tmp_path / "model.seed.safetensors")


@pytest.mark.parametrize("name", ["ResNet20", "LeNet5"])
def test_statistics_of_norms_are_stored_and_nothing_else(name, tmp_path):
    path = tmp_path / "model.seed.safetensors"
    check_predicts_the_same(trained(name), path)
    stored = [key.removeprefix("rest/") for key in load_file(path) if key.startswith("rest/")]
    buffers = {n for n, _ in build(name, 0).named_buffers()}
    assert set(stored) <= buffers
    assert ("bn1.running_mean" in stored) == (name == "ResNet20")


@pytest.mark.parametrize("arm", ["supermask", "edge_popup"])
def test_an_arm_of_a_run(shipped, arm, tmp_path):
    pruned = shipped.pruned_model(2, arm=arm)
    file = check_predicts_the_same(pruned, tmp_path / "model.seed.safetensors")
    dense = sum(4 * p.numel() for p in pruned.model.parameters())
    assert file.num_bytes < dense / 4
    accuracy = (load_seed(tmp_path / "model.seed.safetensors")(pruned.test.x).argmax(1)
                == pruned.test.y).float().mean()  # fmt: skip
    row = shipped.table.query(f"arm == {arm!r} and level == 2")
    assert float(accuracy) == pytest.approx(row.test_accuracy.item())


def test_the_file_grows_with_the_mask_alone(tmp_path):
    sizes = []
    for width in (100, 400):
        options = {"input_size": 20, "hidden": [width, width]}
        mask = prune(build("LeNet300", 1, **options), density=0.01, scope="layerwise")
        origin = ModelOrigin.of("LeNet300", 1, **options)
        state = Ticket(mask, origin).weights()
        pruned = PrunedModel.of_ticket(Ticket(mask, origin, trained=state), torch.rand(4, 20))
        (file,) = export(pruned, format="seed", out=tmp_path / f"{width}.safetensors").files
        sizes.append((file.num_bytes, mask.num_kept))
    (small, few), (large, many) = sizes
    assert large - small < 1.3 * (many - few)  # a byte for each kept weight, a gap


def test_what_is_at_theta_0_of_any_arm_will_do(tmp_path):
    """Pruned before it was trained, and never trained."""
    model = build("LeNet300", 5)
    mask = prune(model, density=0.1)
    origin = ModelOrigin.of("LeNet300", 5)
    ticket = Ticket(mask, origin, trained=Ticket(mask, origin).weights())
    pruned = PrunedModel.of_ticket(ticket, torch.rand(4, 784))
    check_predicts_the_same(pruned, tmp_path / "model.seed.safetensors")


# refusals


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("ticket", "'fc1.weight' of arm 'ticket' was trained"),
        ("signed_constant", "its training began with stored weights"),
    ],
)
def test_trained_weights_are_refused(shipped, arm, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        export(shipped.pruned_model(1, arm=arm), format="seed", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def moved(pruned, name, change):
    """The same, of a net of which something has moved."""
    state = {key: value.clone() for key, value in pruned.model.state_dict().items()}
    change(state[name], pruned.mask.get(name))
    ticket = Ticket(pruned.mask, pruned.ticket.origin, trained=state)
    return PrunedModel.of_ticket(ticket, pruned.inputs)


def flips_a_sign(weight, kept):
    weight[tuple(kept.nonzero()[3])] *= -1


def moves_by_a_bit(weight, kept):
    place = tuple(kept.nonzero()[-1])
    weight[place] = torch.nextafter(weight[place], torch.tensor(torch.inf))


@pytest.mark.parametrize("values", ["signed_constant", "initial"])
@pytest.mark.parametrize("change", [flips_a_sign, moves_by_a_bit])
def test_a_single_weight_that_moved_is_refused(values, change, tmp_path):
    pruned = moved(trained(values=values), "fc1.weight", change)
    with pytest.raises(UsageError, match=r"'fc1\.weight' was trained"):
        export(pruned, format="seed", out=tmp_path / "out")


def test_a_bias_that_moved_is_refused(tmp_path):
    pruned = moved(trained(), "fc2.bias", lambda bias, _: bias[0].add_(1e-6))
    with pytest.raises(UsageError, match=r"'fc2\.bias' was trained"):
        export(pruned, format="seed", out=tmp_path / "out")


def test_weights_without_a_seed_are_refused(tmp_path):
    pruned = trained()
    plain = PrunedModel.of(pruned.model, pruned.inputs, mask=pruned.mask)
    with pytest.raises(UsageError, match="nobody knows which seed"):
        export(plain, format="seed", out=tmp_path / "out")
    origin = WeightsOrigin(pruned.model.state_dict(), model="LeNet300",
                           options=pruned.ticket.origin.options)  # fmt: skip
    stored = PrunedModel.of_ticket(
        Ticket(pruned.mask, origin, trained=pruned.model.state_dict()), pruned.inputs
    )
    with pytest.raises(UsageError, match="stored weights"):
        export(stored, format="seed", out=tmp_path / "out")


# damage


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "model.seed.safetensors"
    export(trained("ResNet20"), format="seed", out=path)
    return path


def rewritten(file, path, change):
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        header = json.loads(opened.metadata()["seed"])
    change(tensors, header)
    save_file(tensors, path, {"seed": json.dumps(header)})
    return path


def another_scale(tensors, header):
    name = next(iter(header["rules"]))
    header["rules"][name][1] *= 1.5


def another_statistic(tensors, header):
    tensors[next(n for n in tensors if n.endswith("running_mean"))][0] += 1


def no_ticket(tensors, header):
    del tensors["ticket"]


def unknown_tensor(tensors, header):
    tensors["rest/fc9.weight"] = torch.ones(2)


def another_format(tensors, header):
    header["format"] = "lottery_ticket.seed/9"


def no_rule(tensors, header):
    header["rules"].popitem()


@pytest.mark.parametrize(
    "change",
    [another_scale, another_statistic, no_ticket, unknown_tensor, another_format, no_rule],
)
def test_a_damaged_file_is_said(file, change, tmp_path):
    assert load_seed(rewritten(file, tmp_path / "same.safetensors", lambda *_: None))
    with pytest.raises(DataError, match=r"wrong\.safetensors"):
        load_seed(rewritten(file, tmp_path / "wrong.safetensors", change))


def test_bytes_that_are_cut_are_said(file, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(file.read_bytes()[:-40])
    for wrong in (path, tmp_path / "none.safetensors"):
        with pytest.raises(DataError, match=wrong.name):
            read_seed(wrong)


class Net(torch.nn.Sequential):
    """A model of a user's own, whose code changes."""

    def __init__(self, num_classes=10, wasted=0):
        torch.rand(wasted)
        super().__init__(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 10))


def test_a_model_that_draws_otherwise_is_said(tmp_path):
    path = tmp_path / "model.seed.safetensors"
    with MODELS.restored():
        MODELS.add("own", Net, is_user=True)
        mask = prune(build("own", 1), density=0.1, scope="layerwise")
        ticket = Ticket(mask, ModelOrigin.of("own", 1))
        ticket = replace(ticket, trained=ticket.weights())
        check_predicts_the_same(PrunedModel.of_ticket(ticket, torch.rand(4, 20)), path)
        MODELS.remove("own")
        with pytest.raises(UsageError, match="unknown model 'own'"):
            load_seed(path)
        MODELS.add("own", partial(Net, wasted=1), is_user=True)
        with pytest.raises(DataError, match="draws other initial weights"):
            load_seed(path)
