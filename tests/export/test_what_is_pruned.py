"""What a mask says is pruned is what every format and every card goes by."""

import copy

import pytest
import torch
from shipped_nets import Switched
from torch import nn
from torch.nn.utils import parametrizations

from lottery_ticket.errors import UsageError
from lottery_ticket.export import (
    PrunedModel,
    check_n_m,
    compact,
    export,
    measure,
    sparse,
    to_semi_structured,
)
from lottery_ticket.masks import PruningMask, input_dims
from lottery_ticket.pruning import prune

MADE = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "old weight_norm": nn.utils.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
}
old_forms = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")


def with_a_made_layer(made):
    torch.manual_seed(0)
    layers = [made(nn.Linear(8, 12)), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4)]
    net = nn.Sequential(*layers)
    for _ in range(3):  # spectral_norm comes to something
        net(torch.randn(5, 8))
    return net.eval()


def pruned_net(made, given):
    net = with_a_made_layer(MADE[made])
    mask = prune(net, sparsity=0.7, ignore=["0.weight"])
    mask.apply(net)
    x = torch.randn(64, 8)
    return PrunedModel.of(net, x, mask=mask if given else None, calibration=x)


@old_forms
@pytest.mark.parametrize("made", MADE)
def test_layers_whose_weights_are_made(made, tmp_path):
    given, seen = pruned_net(made, True), pruned_net(made, False)
    assert all(torch.equal(kept, seen.mask[name]) for name, kept in given.mask.items())
    for pruned, forms in ((given, ["packed", "pt2", "compact", "sparse"]), (seen, ["packed"])):
        assert (pruned.mask.num_prunable, pruned.mask.num_kept) == (128, 38)
        assert [n for n in pruned.mask.left_out if n.startswith("0.") and not n.endswith("bias")]
        out = export(pruned, format=forms, out=tmp_path / f"{len(forms)}")
        assert all(file.max_difference < 1e-5 for file in out.files)
        layers = [layer["name"] for layer in out.card["pruning"]["layers"]]
        assert layers == ["2.weight", "4.weight"]


@old_forms
@pytest.mark.parametrize("made", MADE)
def test_the_model_keeps_what_makes_its_weights(made):
    net, x = with_a_made_layer(MADE[made]), torch.randn(6, 8)
    names, output = list(net.state_dict()), net(x)
    assert compact(net, x).model.get_submodule("0").__class__ is nn.Linear
    assert sparse(net, x, layers="none").max_difference == 0.0
    assert list(net.state_dict()) == names
    assert torch.equal(net(x), output)
    assert torch.equal(net.train()(x).sum().detach(), net(x).sum().detach()) or "spectral" in made
    net(x).sum().backward()


def test_what_a_weight_is_made_from_can_be_pruned(tmp_path):
    net = with_a_made_layer(parametrizations.weight_norm)
    direction = "0.parametrizations.weight.original1"
    mask = prune(net, sparsity=0.8, targets=["2", "4", direction], ignore=["0.weight"])
    mask.apply(net)
    assert int((net[0].weight == 0).sum()) == int((~mask[direction]).sum()) > 0
    before = nn.Sequential(with_a_made_layer(parametrizations.weight_norm), Switched())
    pruned = PrunedModel.of(net, torch.randn(9, 8), mask=mask, dense=before)
    out = export(pruned, format="compact", out=tmp_path / "out")
    assert out.card["pruning"]["num_kept"] == mask.num_kept
    table = measure(pruned, forms=["compact"], seconds=0.01, compiled=False, memory=False).table
    (row,) = table[table.form == "compact"].to_dict("records")
    weights = [v for v in compact(net, pruned.inputs).model.parameters() if v.ndim == 2]
    assert row["effective_flops"] == 2 * sum(int(weight.count_nonzero()) for weight in weights)


def two_four_net(**ignored):
    net = with_a_made_layer(lambda layer: layer)
    mask = prune(net, sparsity=0.5, structure="2:4", **ignored)
    mask.apply(net)
    return net, mask


def test_two_four_looks_at_what_the_mask_speaks_of(tmp_path):
    net, mask = two_four_net(ignore=["4"])
    net[4].weight.data[0, :3] = torch.tensor([0.0, 1.0, 1.0])  # a zero that pruned nothing
    x = torch.randn(9, 8)
    out = export(PrunedModel.of(net, x, mask=mask), format="2:4", out=tmp_path / "out")
    assert out.files[0].facts["layers"] == ["0.weight", "2.weight"]
    with pytest.raises(
        UsageError, match=r"not 2:4: 4\.weight .* left out of the mask, or here with"
    ):
        export(PrunedModel.of(net, x), format="2:4", out=tmp_path / "other")
    dense = PrunedModel.of(nn.Linear(8, 4), x)
    with pytest.raises(
        UsageError, match="format 2:4: no weight of the layers that the mask speaks"
    ):
        export(dense, format="2:4", out=tmp_path / "other")


class Conv1D(nn.Module):
    """As in transformers, and copies of it."""

    def __init__(self, num_outputs, num_inputs):
        super().__init__()
        self.nf = num_outputs
        self.weight = nn.Parameter(torch.randn(num_inputs, num_outputs))
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


def test_two_four_of_weights_with_their_inputs_first(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(Conv1D(6, 8), nn.ReLU(), nn.Linear(6, 4))
    mask = prune(net, density=0.5, structure="2:4", ignore=["2"])
    mask.apply(net)
    assert check_n_m(net, ignore=["2"]) == ["0.weight"]
    assert check_n_m(mask, input_dims=input_dims(net, mask)) == ["0.weight"]
    with pytest.raises(UsageError, match="its inputs are no multiple of 4"):
        check_n_m(mask)
    out = export(
        PrunedModel.of(net, torch.randn(9, 8), mask=mask), format="2:4", out=tmp_path / "o"
    )
    facts = out.files[0].facts
    assert facts["layers"] == list(facts["not_on_gpu"]) == ["0.weight"]


def test_the_remedies_of_to_semi_structured_and_check_n_m():
    net = with_a_made_layer(parametrizations.weight_norm)
    with pytest.raises(UsageError, match=r"leave it out with ignore=\['0\.weight'\]"):
        check_n_m(net)
    prune(net, density=0.5, structure="2:4", ignore=["0.weight"]).apply(net)
    assert check_n_m(net, ignore=["0.weight"]) == ["2.weight", "4.weight"]
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="needs a CUDA device"):
            to_semi_structured(copy.deepcopy(net))


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 3))

    def forward(self, x):
        return nn.functional.linear(x, self.matrix)


def test_a_model_of_parameters_of_its_own(tmp_path):
    net, x = Raw(), torch.randn(9, 3)
    with pytest.raises(UsageError) as refused:
        PrunedModel.of(net, x)
    assert str(refused.value) == (
        "model: nothing to prune: the model has matrix (no weight of a layer that is known (Raw)); "
        "name what to prune, such as targets=['matrix'] in mask=PruningMask(model, …)"
    )
    mask = prune(net, PruningMask(net, targets=["matrix"]), sparsity=0.5)
    mask.apply(net)
    out = export(PrunedModel.of(net, x, mask=mask), format="packed", out=tmp_path / "out")
    assert out.card["pruning"]["num_kept"] == 6
