import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask, input_dims, prunable_parameters, prunable_sizes


class Everything(nn.Module):
    """Every kind of layer, and two linear layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.conv1 = nn.Conv1d(2, 3, 2)
        self.conv2 = nn.Conv2d(3, 2, 3)
        self.conv3 = nn.Conv3d(1, 2, 1)
        self.batch = nn.BatchNorm2d(2)
        self.layer = nn.LayerNorm(4)
        self.group = nn.GroupNorm(1, 2)
        self.first = nn.Linear(4, 5)
        self.tied = nn.Linear(4, 5, bias=False)
        self.tied.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(7))


SIZES = {"conv1.weight": 12, "conv2.weight": 54, "conv3.weight": 2, "first.weight": 20}


def check_counts_weights_once(sizes_of):
    """Ignored layers are out of the numerator and the denominator; tied weights count once."""
    assert sizes_of(Everything()) == SIZES
    assert list(sizes_of(Everything())) == list(SIZES)


def test_prunable():
    check_counts_weights_once(prunable_sizes)
    check_counts_weights_once(lambda model: {n: m.numel() for n, m in PruningMask(model).items()})


@pytest.mark.parametrize(
    "mutant",
    [
        lambda model: {n: p.numel() for n, p in model.named_parameters()},
        lambda model: {n: p.numel() for n, p in model.named_parameters() if p.ndim > 1},
        lambda model: {
            n: p.numel() for n, p in model.named_parameters(remove_duplicate=False)
            if n.endswith("weight") and n.startswith(("conv", "first", "tied"))
        },
        lambda model: {
            f"{n}.weight": m.weight.numel() for n, m in model.named_modules()
            if isinstance(m, nn.Linear | nn.Conv2d)
        },
    ],
)  # fmt: skip
def test_other_counts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_counts_weights_once(mutant)


def test_the_parameters_themselves():
    model = Everything()
    found = prunable_parameters(model)
    assert all(found[name] is value for name, value in model.named_parameters() if name in found)
    PruningMask.from_tensors({"first.weight": torch.zeros(5, 4, dtype=torch.bool)}).apply(model)
    assert not model.tied.weight.any()


def test_a_lone_layer_and_none():
    assert prunable_sizes(nn.Linear(3, 2)) == {"weight": 6}
    assert prunable_sizes(nn.LayerNorm(3)) == {}


class Zoo(nn.Module):
    """A layer of every kind that is prunable, with others between them."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4)
        self.convs = nn.Sequential(
            nn.ConvTranspose1d(2, 3, 2), nn.ConvTranspose2d(3, 2, 3), nn.ConvTranspose3d(1, 2, 1)
        )
        self.norms = nn.ModuleDict({"batch": nn.BatchNorm1d(4), "layer": nn.LayerNorm(4)})
        self.lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True, proj_size=2)
        self.gru = nn.GRU(2, 2, bias=False)
        self.rnn = nn.RNN(2, 2)
        self.cells = nn.ModuleList([nn.LSTMCell(2, 1), nn.GRUCell(2, 1), nn.RNNCell(2, 1)])
        self.packed = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.split = nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
        self.bilinear = nn.Bilinear(2, 2, 2)
        self.scale = nn.Parameter(torch.ones(7))
        self.head = nn.Linear(4, 9)
        self.tied = nn.Linear(4, 9, bias=False)
        self.tied.weight = self.embed.weight


LSTM = [
    f"lstm.weight_{kind}_l{layer}{way}"
    for layer in (0, 1) for way in ("", "_reverse") for kind in ("ih", "hh", "hr")
]  # fmt: skip
GRU = ["gru.weight_ih_l0", "gru.weight_hh_l0"]
CELLS = [f"cells.{index}.weight_{kind}" for index in range(3) for kind in ("ih", "hh")]
PACKED = ["packed.in_proj_weight", "packed.out_proj.weight"]
SPLIT = [*(f"split.{letter}_proj_weight" for letter in "qkv"), "split.out_proj.weight"]
CONVS = ["convs.0.weight", "convs.1.weight", "convs.2.weight"]
RNN = ["rnn.weight_ih_l0", "rnn.weight_hh_l0"]
BY_DEFAULT = [*CONVS, *LSTM, *GRU, *RNN, *CELLS, *PACKED, *SPLIT, "head.weight"]


def check_default(prunable):
    assert sorted(prunable(Zoo())) == sorted(BY_DEFAULT)


def test_default():
    check_default(prunable_parameters)
    own_order = [name for name, _ in Zoo().named_parameters() if name in BY_DEFAULT]
    assert list(prunable_parameters(Zoo())) == own_order


@pytest.mark.parametrize(
    "mutant",
    [
        lambda model: [n for n, _ in model.named_parameters() if "weight" in n],
        lambda model: [n for n, p in model.named_parameters() if p.ndim > 1],
        # an output layer that shares its weight with an embedding is a linear layer too
        lambda model: [*prunable_parameters(model), "embed.weight"],
        lambda model: [*prunable_parameters(model), "bilinear.weight"],
        lambda model: [n for n in prunable_parameters(model) if not n.startswith("convs")],
        lambda model: [n for n in prunable_parameters(model) if "proj_weight" not in n],
        lambda model: [n for n in prunable_parameters(model) if "_hr_" not in n],
    ],
)
def test_other_defaults_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_default(mutant)


class Odd(nn.LayerNorm):
    """A user's own kind of norm."""


def with_odd():
    model = nn.Sequential(nn.Linear(2, 2), Odd(2), nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    model.add_module("last", nn.Linear(2, 1))
    return model


@pytest.mark.parametrize(
    ("targets", "ignore", "wanted"),
    [
        (None, [], ["0.weight", "2.0.weight", "last.weight"]),
        # a class or its name: weights of that kind, never biases
        (["Linear"], [], ["0.weight", "2.0.weight", "last.weight"]),
        ([nn.Linear], [], ["0.weight", "2.0.weight", "last.weight"]),
        (["LayerNorm"], [], ["1.weight", "2.1.weight"]),
        (["Odd"], [], ["1.weight"]),
        ([Odd, "last"], [], ["1.weight", "last.weight"]),
        # a module: what is prunable in it, and its own weight whatever it is
        (["2"], [], ["2.0.weight"]),
        (["2.1"], [], ["2.1.weight"]),
        (["Sequential"], [], ["0.weight", "2.0.weight", "last.weight"]),
        # one parameter
        (["2.0.bias", "last.weight"], [], ["2.0.bias", "last.weight"]),
        # a regular expression, from the start of the name
        (["re:2"], [], ["2.0.weight"]),
        (["re:.*"], [], ["0.weight", "2.0.weight", "last.weight"]),
        (["re:.*bias"], [], ["0.bias", "1.bias", "2.0.bias", "2.1.bias", "last.bias"]),
        (["re:2.*bias", "re:la"], [], ["2.0.bias", "2.1.bias", "last.weight"]),
        (["re:.*1.weight"], [], ["1.weight", "2.1.weight"]),
        # ignore, in the same forms, wins
        (None, ["last"], ["0.weight", "2.0.weight"]),
        (None, ["2", "0.weight"], ["last.weight"]),
        (None, ["Linear"], []),
        (None, [nn.LayerNorm], ["0.weight", "2.0.weight", "last.weight"]),
        (["0.bias", "re:2.*"], ["re:.*bias"], ["2.0.weight"]),
        (["Linear", "last.bias"], ["re:la"], ["0.weight", "2.0.weight"]),
        (["last"], ["last.bias"], ["last.weight"]),
    ],
)
def test_targets_and_ignore(targets, ignore, wanted):
    model = with_odd()
    assert list(prunable_parameters(model, targets=targets, ignore=ignore)) == wanted
    assert list(prunable_sizes(model, targets=tuple(targets) if targets else None, ignore=ignore))\
        == wanted  # fmt: skip
    if wanted:
        assert list(PruningMask(model, targets=targets, ignore=ignore)) == wanted


def test_pairs():
    model = with_odd()
    pairs = [(model[1], "bias"), (model.last, "weight")]
    assert list(prunable_parameters(model, targets=pairs)) == ["1.bias", "last.weight"]
    assert list(prunable_parameters(model, ignore=pairs)) == ["0.weight", "2.0.weight"]
    lone = nn.Linear(2, 1)
    assert list(prunable_parameters(lone, targets=[(lone, "bias")])) == ["bias"]


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("LSTM", LSTM),
        (nn.RNNBase, [*LSTM, *GRU, *RNN]),
        ("re:gru", GRU),
        ("cells", CELLS),
        ("MultiheadAttention", [*PACKED, *SPLIT]),
        ("packed", PACKED),
        ("split.q_proj_weight", SPLIT[:1]),
        ("packed.out_proj", PACKED[1:]),
        ("Bilinear", ["bilinear.weight"]),
        ("scale", ["scale"]),
        ("re:packed.bias", ["packed.bias_k", "packed.bias_v"]),
        ("norms.batch", ["norms.batch.weight"]),
        # MultiheadAttention's out_proj is a linear layer; the tied one is an embedding
        ("Linear", ["packed.out_proj.weight", "split.out_proj.weight", "head.weight"]),
        ("Embedding", ["embed.weight"]),
        ("tied", ["embed.weight"]),
        ("tied.weight", ["embed.weight"]),
        ("re:(tied|embed).weight", ["embed.weight"]),
    ],
)
def test_targets_in_the_zoo(target, wanted):
    assert sorted(prunable_parameters(Zoo(), targets=[target])) == sorted(wanted)
    left = prunable_parameters(Zoo(), ignore=[target])
    assert set(left) == set(BY_DEFAULT) - set(wanted)


def test_any_name_of_a_tied_weight():
    model = Everything()
    for name in ("first", "tied", "first.weight", "tied.weight", "re:tied.w"):
        assert list(prunable_parameters(model, targets=[name])) == ["first.weight"]
        assert "first.weight" not in prunable_parameters(model, ignore=[name])


def test_min_size():
    assert prunable_sizes(Everything(), min_size=12) == {
        "conv1.weight": 12, "conv2.weight": 54, "first.weight": 20,
    }  # fmt: skip
    assert list(PruningMask(Everything(), min_size=13)) == ["conv2.weight", "first.weight"]
    assert prunable_sizes(Everything(), targets=["scale"], min_size=8) == {}


def test_frozen_parameters_may_be_pruned():
    model = nn.Linear(2, 1).requires_grad_(False)
    assert list(PruningMask(model)) == ["weight"]


def test_an_attribute_that_happens_to_be_called_as_a_class():
    model = nn.Sequential()
    model.add_module("Linear", nn.LayerNorm(2))
    model.add_module("other", nn.Linear(2, 1))
    found = prunable_parameters(model, targets=["Linear"])
    assert list(found) == ["Linear.weight", "other.weight"]


@pytest.mark.parametrize("what", ["targets", "ignore"])
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("Linaer", "the model has no class, module or parameter 'Linaer'; did you mean 'Linear'?"),
        ("lst", "parameter 'lst'; did you mean 'last'?"),
        ("2.0.wieght", "parameter '2.0.wieght'; did you mean '2.0.weight'?"),
        ("Conv2d", "parameter 'Conv2d'; its classes: LayerNorm, Linear, Odd, Sequential"),
        ("", "got '', wanted a class name"),
        (nn.Conv2d, "the model has no Conv2d"),
        ("re:ast", "'re:ast' matches no module and no parameter; it is matched from the start of"),
        ("re:ast", "the name, 're:.*ast' finds it anywhere"),
        ("re:(", "'re:(' is not a regular expression ("),
        (3, "got 3, wanted a class name, a class, a module or parameter name, 're:<regex>' or a"),
        (nn.ReLU(), "got ReLU(), wanted a class name"),
        (("last", "weight"), "got ('last', 'weight'), wanted a pair (module, 'weight')"),
        ((nn.ReLU(), "weight", 1), "wanted a pair (module, 'weight')"),
        ((nn.Linear(2, 1), "weight"), "the model has no parameter 'weight' of this Linear"),
    ],
)  # fmt: skip
def test_a_target_that_is_not_there(what, target, problem):
    with pytest.raises(UsageError) as caught:
        PruningMask(with_odd(), **{what: ["last", target]})
    assert str(caught.value).startswith(f"{what}: ")
    assert problem in str(caught.value)


def test_a_parameter_that_the_module_does_not_have():
    model = with_odd()
    with pytest.raises(UsageError, match=r"no parameter 'wight' of this Linear; did you mean 'we"):
        prunable_parameters(model, targets=[(model.last, "wight")])


@pytest.mark.parametrize("target", ["ReLU", "1", nn.ReLU, "re:1$"])
def test_a_target_that_selects_nothing(target):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(UsageError, match="selects no parameter: what it matches has no weight"):
        prunable_parameters(model, targets=["0", target])
    assert list(prunable_parameters(model, ignore=[target])) == ["0.weight"]


def test_a_regular_expression_asks_for_no_norm():
    with pytest.raises(UsageError, match=r"'re:1' selects no parameter: .* name the class"):
        prunable_parameters(with_odd(), targets=["re:1"])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"targets": "Linear"}, "targets: got 'Linear', wanted a list of such: ['Linear']"),
        ({"ignore": "last"}, "ignore: got 'last', wanted a list of such: ['last']"),
        ({"targets": nn.Linear}, "targets: got Linear, wanted a list of such: [Linear]"),
        ({"targets": 3}, "targets: got 3, wanted a list of such"),
        ({"targets": []}, "targets: an empty list selects nothing; leave it out for the default"),
        ({"min_size": -1}, "min_size: got -1, wanted a number of weights, 0 or more"),
        ({"min_size": 0.5}, "min_size: got 0.5"),
        ({"min_size": True}, "min_size: got True"),
    ],
)
def test_options_of_another_form(options, problem):
    with pytest.raises(UsageError) as caught:
        PruningMask(with_odd(), **options)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "dtype",
    [torch.complex64, torch.int8, torch.uint8, torch.float8_e4m3fn],
)
def test_only_real_floating_point(dtype):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[1].weight = nn.Parameter(torch.ones(1, 2).to(dtype), requires_grad=False)
    for targets in (None, ["Linear"], ["1.weight"]):
        with pytest.raises(UsageError) as caught:
            PruningMask(model, targets=targets)
        assert f"'1.weight' is {dtype}; only plain float16, bfloat16" in str(caught.value)
        assert "leave it out with ignore=['1.weight']" in str(caught.value)
    assert list(PruningMask(model, ignore=["1.weight"])) == ["0.weight"]
    assert list(PruningMask(model, targets=["0"])) == ["0.weight"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_any_width(dtype):
    assert list(PruningMask(nn.Linear(2, 1, dtype=dtype))) == ["weight"]


class Quantised(torch.Tensor):
    """A tensor that says it holds floats and keeps integers, as torchao's do."""

    @staticmethod
    def __new__(cls, values):
        return torch.Tensor._make_wrapper_subclass(cls, values.shape, dtype=torch.float32)

    def __init__(self, values):
        self.values_int8 = values

    def __tensor_flatten__(self):
        return ["values_int8"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Quantised(inner["values_int8"])

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        assert function.name() == "aten::detach", "nothing computes with it"
        return cls(args[0].values_int8)


def test_quantised_tensors():
    model = nn.Linear(2, 1)
    model.weight = nn.Parameter(Quantised(torch.ones(1, 2, dtype=torch.int8)), requires_grad=False)
    with pytest.raises(UsageError, match=r"'weight' is torch.float32 in a Quantised; only plain"):
        PruningMask(model)


def test_lazy_layers():
    model = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(UsageError, match=r"'0\.weight' has no shape yet; run the model once, or"):
        PruningMask(model)
    model(torch.ones(1, 3))
    assert prunable_sizes(model) == {"0.weight": 6}


def test_parametrised_layers():
    model = nn.Sequential(
        nn.Linear(3, 2), nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 1, 1))
    )
    originals = [f"1.parametrizations.weight.original{index}" for index in (0, 1)]
    for targets in (None, ["Conv1d"], ["1"]):
        with pytest.raises(UsageError) as caught:
            PruningMask(model, targets=targets)
        message = str(caught.value)
        assert message.startswith("'1.weight' is no parameter but made from")
        assert str(originals) in message
        assert message.endswith(
            "leave it out with ignore=['1.weight'] (and name one of those in targets= to prune "
            "that), or remove the parametrisation"
        )
        left_out = PruningMask(model, targets=targets and ["0", *targets], ignore=["1.weight"])
        assert list(left_out) == ["0.weight"]
    assert list(PruningMask(model, ignore=["1"])) == ["0.weight"]
    assert list(PruningMask(model, targets=["0", originals[1]])) == ["0.weight", originals[1]]
    again = PruningMask(model, targets=["Linear", "Conv1d", originals[1]], ignore=["1.weight"])
    assert list(again) == ["0.weight", originals[1]]


def test_models_in_the_form_of_torch_prune():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    nn.utils.prune.identity(model[0], "weight")
    with pytest.raises(UsageError, match=r"use PruningMask\.from_torch_prune\(model\), or call"):
        PruningMask(model)
    assert list(prunable_parameters(model)) == ["1.weight"]


class Conv1D(nn.Module):
    """As in transformers: a linear layer with a weight (in, out)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 2))


def test_input_dims():
    model = nn.Sequential(
        nn.Linear(2, 2), nn.ConvTranspose2d(1, 1, 1), nn.Conv2d(1, 1, 1), Conv1D(), nn.GRU(1, 1)
    )
    names = ["4.weight_hh_l0", "3.weight", "1.weight", "1.bias", "0.weight", "2.weight"]
    dims = input_dims(model, names)
    assert dims == dict(zip(names, [1, 0, 0, 0, 1, 1], strict=True))
    assert list(dims) == names
    assert input_dims(nn.DataParallel(model), ["1.weight"]) == {"1.weight": 0}
    with pytest.raises(UsageError, match=r"no parameter '1\.wieght'.*; did you mean '1\.weight'"):
        input_dims(model, ["1.wieght"])
