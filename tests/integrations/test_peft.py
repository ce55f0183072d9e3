"""LoRA under a mask, with peft itself (`make hf`): zeros through training and merging."""

import copy
import gc
import importlib
import importlib.metadata
import io
import os
import pickle
import re
import sys
import warnings
import weakref
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket import LotteryError, PruningMask, UsageError
from lottery_ticket.integrations.peft import attach_lora
from lottery_ticket.masks import Budget, find_parameters, select
from lottery_ticket.pruning import prune

peft = pytest.importorskip("peft", reason="`make hf` has peft")
transformers = pytest.importorskip("transformers", reason="`make hf` has transformers")
from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402

# transformers' own, of names that it is about to change
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

GPT2 = ["c_attn", "c_proj", "c_fc"]  # Conv1D, whose weights are (inputs, outputs)
BERT = ["query", "key", "value", "dense"]
VOCABULARY = 65


def gpt2(seed=0):
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_layer=2, n_head=2, n_embd=32, vocab_size=VOCABULARY, n_positions=32,
        bos_token_id=0, eos_token_id=0, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def bert(seed=0):
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        num_hidden_layers=2, num_attention_heads=2, hidden_size=32, intermediate_size=48,
        vocab_size=VOCABULARY, max_position_embeddings=32, num_labels=3,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


KINDS = {"gpt2": (gpt2, GPT2, True), "bert": (bert, BERT, False)}


def lora(kind, **options):
    _, targets, is_transposed = KINDS[kind]
    options = {"r": 4, "lora_alpha": 12, "target_modules": targets, **options}
    return LoraConfig(fan_in_fan_out=is_transposed, **options)


def pruned(kind, num_kept=8000):
    model = KINDS[kind][0]()
    stream = torch.Generator().manual_seed(1)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return model, select(scores, ones, Budget(num_kept))


def adapted(kind, **options):
    """A pruned model with adapters that do something, and its mask."""
    base, mask = pruned(kind)
    model = get_peft_model(base, lora(kind, **options))
    randomize(model)
    return model, mask


def randomize(model, seed=3):
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.2)


def tokens(kind="gpt2", num=4):
    return torch.randint(VOCABULARY, (num, 16), generator=torch.Generator().manual_seed(2))


def logits(model, x=None):
    return model(input_ids=tokens() if x is None else x).logits


def check_zero(model, mask):
    for name, parameter in find_parameters(model, mask).items():
        assert not parameter[~mask[name]].any(), f"{name} came back"
        assert parameter[mask[name]].any()


def attached_before(model, mask):
    """Mutant: zeros before training, and plain LoRA."""
    base = model.get_base_model()
    for name, kept in mask.items():
        module = base.get_submodule(name.rpartition(".")[0])
        getattr(module, "base_layer", module).weight.data.mul_(kept)


def check_merges_to_zeros(attach, kind, is_safe):
    model, mask = adapted(kind)
    attach(model, mask)
    before = logits(model.eval())
    merged = model.merge_and_unload(safe_merge=is_safe)
    assert not isinstance(merged, PeftModel)
    check_zero(merged, mask)
    assert torch.allclose(logits(merged), before, atol=1e-5)
    plain = KINDS[kind][0]()
    mask.apply(plain)
    assert not torch.allclose(logits(plain.eval()), before, atol=1e-3), "the adapters do nothing"


@pytest.mark.parametrize("is_safe", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_merges_to_the_same_zeros_and_computes_what_it_merges(kind, is_safe):
    check_merges_to_zeros(attach_lora, kind, is_safe)


def masked_when_merged(model, mask):
    """Mutant: what is trained is not what is merged."""
    attached_before(model, mask)
    unload = model.merge_and_unload

    def merge_and_unload(**options):
        merged = unload(**options)
        mask.apply(merged)
        return merged

    model.merge_and_unload = merge_and_unload


@pytest.mark.parametrize("kind", KINDS)
def test_other_ways_are_caught(kind):
    with pytest.raises(AssertionError, match="came back"):
        check_merges_to_zeros(attached_before, kind, False)
    with pytest.raises(AssertionError):
        check_merges_to_zeros(masked_when_merged, kind, False)


def oracle(layer, x, kept, transposed):
    """W + m ⊙ BA · scaling, written out; gradients by autograd."""
    a, b = (factor["default"].weight for factor in (layer.lora_A, layer.lora_B))
    delta = b @ a * layer.scaling["default"]
    weight = layer.base_layer.weight + (delta.T if transposed else delta) * kept
    return x @ (weight if transposed else weight.T) + layer.base_layer.bias


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_masked_sum(kind):
    model, mask = adapted(kind)
    attach_lora(model, mask)
    base = model.get_base_model()
    for name, kept in mask.items():
        layer = base.get_submodule(name.rpartition(".")[0])
        if not hasattr(layer, "lora_A"):
            continue
        x = torch.randn(5, layer.in_features, requires_grad=True)
        target = torch.randn(5, layer.out_features)
        found = []
        for compute in (
            layer,
            lambda x, layer=layer, kept=kept: oracle(layer, x, kept, KINDS[kind][2]),
        ):
            wanted = [layer.lora_A["default"].weight, layer.lora_B["default"].weight, x]
            out = compute(x)
            found.append([out, *torch.autograd.grad(F.mse_loss(out, target), wanted)])
        for ours, theirs in zip(*found, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-4), name
            assert ours.any()


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_on_base_layers_are_called_and_change_nothing(kind):
    """Then the sum is not made beforehand: the other way to compute."""
    model, mask = adapted(kind)
    attach_lora(model, mask)
    before = logits(model.eval())
    called = []
    layers = [module for module in model.modules() if hasattr(module, "lora_A")]
    for layer in layers:
        layer.base_layer.register_forward_hook(lambda *_: called.append(None))
    assert torch.allclose(logits(model), before, atol=1e-5)
    assert len(called) == len(layers)


def text():
    folder = Path(os.environ.get("LOTTERY_DATA", "")) / "tinyshakespeare" / "input.txt"
    if not folder.is_file():
        pytest.skip("no tinyshakespeare in $LOTTERY_DATA")
    letters = folder.read_text()[:60_000]
    known = {letter: i for i, letter in enumerate(sorted(set(letters)))}
    return torch.tensor([known[letter] for letter in letters])


def batches(stream, num, seed):
    chooser = torch.Generator().manual_seed(seed)
    for _ in range(num):
        at = torch.randint(len(stream) - 32, (16,), generator=chooser)
        yield torch.stack([stream[i : i + 32] for i in at])


def loss_on(model, stream):
    with torch.no_grad():
        return sum(model(input_ids=x, labels=x).loss.item() for x in batches(stream, 4, 9)) / 4


def test_learns_shakespeare_and_merges_sparse():
    """Pre-trained for a while, pruned to a third, healed by LoRA."""
    stream = text()
    base = gpt2()
    optimizer = torch.optim.AdamW(base.parameters(), lr=3e-3)
    for x in batches(stream, 60, 1):
        optimizer.zero_grad()
        base(input_ids=x, labels=x).loss.backward()
        optimizer.step()
    mask = prune(base, sparsity=0.7)
    mask.apply(base)
    hurt = loss_on(base, stream)
    model = get_peft_model(base, lora("gpt2", r=8, lora_alpha=16))
    attached = attach_lora(model, mask)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=0.1)
    for x in batches(stream, 60, 2):
        optimizer.zero_grad()
        model(input_ids=x, labels=x).loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
    assert attached.revived() == []
    healed = loss_on(model, stream)
    assert healed < hurt - 0.05
    merged = model.merge_and_unload()
    check_zero(merged, mask)
    assert loss_on(merged, stream) == pytest.approx(healed, abs=1e-4)
    optimizer = torch.optim.AdamW(merged.parameters(), lr=1e-3, weight_decay=0.1)
    for x in batches(stream, 3, 3):  # on, without adapters: the mask is held where it was
        optimizer.zero_grad()
        for parameter in merged.parameters():
            parameter.requires_grad_(True)
        merged(input_ids=x, labels=x).loss.backward()
        optimizer.step()
        check_zero(merged, mask)


@pytest.mark.parametrize("is_safe", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_merging_and_unmerging(kind, is_safe):
    model, mask = adapted(kind)
    attached = attach_lora(model, mask)
    model.eval()
    base = {n: p.detach().clone() for n, p in model.named_parameters() if "base_layer" in n}
    before = logits(model)
    model.merge_adapter(safe_merge=is_safe)
    assert torch.allclose(logits(model), before, atol=1e-5)
    assert attached.revived() == []
    changed = [n for n, p in model.named_parameters() if n in base and not p.equal(base[n])]
    assert len(changed) >= 8
    model.unmerge_adapter()
    assert torch.allclose(logits(model), before, atol=1e-5)
    for name, parameter in model.named_parameters():
        if name in base:
            assert torch.allclose(parameter, base[name], atol=1e-6)
            assert torch.equal(parameter == 0, base[name] == 0), "zeros are zeros again"
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    logits(model).square().mean().backward()
    optimizer.step()
    assert attached.revived() == []


def test_disabled_adapters_are_the_base_model():
    model, mask = adapted("gpt2")
    attach_lora(model, mask)
    model.eval()
    plain = gpt2().eval()
    mask.apply(plain)
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(plain))
    assert not torch.allclose(logits(model), logits(plain), atol=1e-3)
    model.merge_adapter()
    with model.disable_adapter():
        assert torch.allclose(logits(model), logits(plain), atol=1e-5)


def test_several_adapters_also_those_that_come_later():
    model, mask = adapted("bert")
    attached = attach_lora(model, mask)
    model.add_adapter("second", lora("bert", r=2, lora_bias=True))
    randomize(model, 7)
    model.eval()
    x = tokens()
    outs = {}
    for name in ("default", "second"):
        model.set_adapter(name)
        assert attached.revived() == []
        outs[name] = logits(model, x)
        twin = copy.deepcopy(model)
        merged = twin.merge_and_unload()
        check_zero(merged, mask)
        assert torch.allclose(logits(merged, x), outs[name], atol=1e-5)
    assert not torch.allclose(outs["default"], outs["second"], atol=1e-3)
    mixed = model(input_ids=x, adapter_names=["default", "second", "__base__", "default"]).logits
    assert torch.allclose(mixed[0], outs["default"][0], atol=1e-5)
    assert torch.allclose(mixed[1], outs["second"][1], atol=1e-5)
    model.base_model.set_adapter(["default", "second"])
    both = logits(model, x)
    assert attached.revived() == []
    merged = copy.deepcopy(model).merge_and_unload(adapter_names=["default", "second"])
    check_zero(merged, mask)
    assert torch.allclose(logits(merged, x), both, atol=1e-5)
    model.add_weighted_adapter(["default", "second"], [0.5, 0.5], "mean", combination_type="svd")
    model.set_adapter("mean")
    assert attached.revived() == []
    model.delete_adapter("second")
    check_zero(model.merge_and_unload(), mask)


def test_dropout_is_on_what_goes_into_the_factors():
    model, mask = adapted("bert", lora_dropout=0.5)
    attach_lora(model, mask)
    layer = model.get_base_model().bert.encoder.layer[0].attention.self.query
    x = torch.randn(6, 32)
    torch.manual_seed(0)
    out = layer(x)
    torch.manual_seed(0)
    dropped = F.dropout(x, 0.5)
    wanted = layer.base_layer(x) + F.linear(dropped, layer.get_delta_weight("default"))
    assert torch.equal(out, wanted)
    model.eval()
    before = logits(model)
    check_zero(merged := model.merge_and_unload(), mask)
    assert torch.allclose(logits(merged), before, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(kind, tmp_path):
    model, mask = adapted(kind)
    keys = set(model.state_dict())
    attach_lora(model, mask)
    assert set(model.state_dict()) == keys, "something was added to what is saved"
    model.eval().save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    mask.save(tmp_path / "mask.safetensors")
    plain, _ = adapted(kind)
    plain.save_pretrained(tmp_path / "plain", save_embedding_layers=False)
    files = [
        (tmp_path / f / "adapter_model.safetensors").read_bytes() for f in ("adapter", "plain")
    ]
    assert files[0] == files[1], "the file of the adapter is another one"
    again = PeftModel.from_pretrained(KINDS[kind][0](), tmp_path / "adapter")
    read = PruningMask.from_file(tmp_path / "mask.safetensors")
    attach_lora(again, read)
    assert torch.equal(logits(again.eval()), logits(model))
    check_zero(again.merge_and_unload(), mask)


def test_a_further_adapter_that_is_loaded(tmp_path):
    other, _ = adapted("gpt2")
    randomize(other, 11)
    other.save_pretrained(tmp_path, save_embedding_layers=False)
    model, mask = adapted("gpt2")
    attached = attach_lora(model, mask)
    model.load_adapter(tmp_path, "loaded")
    model.set_adapter("loaded")
    assert attached.revived() == []
    check_zero(model.merge_and_unload(), mask)


def test_a_base_checkpoint_that_is_loaded_later():
    model, mask = adapted("gpt2")
    attached = attach_lora(model, mask)
    dense = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    model.load_state_dict(dense)
    assert attached.revived() == []
    check_zero(model.merge_and_unload(), mask)


def test_what_is_trained_as_it_is_is_held():
    """A new head (`modules_to_save`), and biases."""
    base, mask = pruned("bert")
    mask = PruningMask.from_tensors({
        **mask, "bert.encoder.layer.0.attention.self.query.bias": torch.arange(32) % 2 == 0,
    })  # fmt: skip
    assert "classifier.weight" in mask
    model = get_peft_model(base, lora("bert", modules_to_save=["classifier"], bias="all"))
    attached = attach_lora(model, mask)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(logits(model), torch.tensor([0, 1, 2, 1])).backward()
        optimizer.step()
        assert attached.revived() == []
    start = bert()
    merged = model.merge_and_unload()
    check_zero(merged, mask)
    assert not torch.equal(
        merged.classifier.weight[mask["classifier.weight"]],
        start.classifier.weight[mask["classifier.weight"]],
    )


HEAD = "classifier.weight"


def with_head(**options):
    """A model with a head that adapters train as it is."""
    base, mask = pruned("bert")
    return get_peft_model(base, lora("bert", modules_to_save=["classifier"], **options)), mask


def train_head(model, num_steps=3):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(num_steps):
        optimizer.zero_grad()
        F.cross_entropy(logits(model), torch.tensor([0, 1, 2, 1])).backward()
        optimizer.step()


def added(model, folder):
    model.add_adapter("later", lora("bert", modules_to_save=["classifier"]))
    return model


def loaded(model, folder):
    other = get_peft_model(KINDS["bert"][0](5), lora("bert", modules_to_save=["classifier"]))
    other.save_pretrained(folder, save_embedding_layers=False)
    model.load_adapter(folder, "later", is_trainable=True)
    return model


def copied_before(model, folder):
    return added(copy.deepcopy(model), folder)


def pickled_before(model, folder):
    return added(pickled(model), folder)


@pytest.mark.parametrize("add", [added, loaded, copied_before, pickled_before])
def test_what_a_later_adapter_trains_as_it_is_is_held(add, tmp_path):
    model, mask = with_head()
    attached = attach_lora(model, mask)
    model = add(model, tmp_path)
    model.set_adapter("later")
    train_head(model)
    assert attached.revived() == []
    copies = model.get_base_model().classifier.modules_to_save
    assert copies["later"].weight[mask[HEAD]].any()
    assert not copies["later"].weight[~mask[HEAD]].any(), "came back"
    check_zero(model.merge_and_unload(), mask)


def test_detached_copies_are_plain_again():
    model, mask = with_head()
    kind = type(model.get_base_model().classifier)
    with attach_lora(model, mask) as attached:
        added(model, None)
        assert type(model.get_base_model().classifier) is not kind
    assert type(model.get_base_model().classifier) is kind
    model.set_adapter("later")
    train_head(model)
    assert HEAD in attached.revived()
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_asks_the_model_as_it_is():
    """Adapters on layers that had none, before `attach_lora` is called again."""
    model, mask = adapted("gpt2", target_modules=["c_attn"])
    attached = attach_lora(model, mask)
    model.add_adapter("more", lora("gpt2"))
    randomize(model)
    assert attached.revived() == [], "which are not in use"
    model.set_adapter("more")
    assert len(attached.revived()) == 6
    base, mask = pruned("bert")
    bias = "bert.encoder.layer.0.attention.self.query.bias"
    mask = PruningMask.from_tensors({**mask, bias: torch.arange(32) % 2 == 0})
    model = get_peft_model(base, lora("bert"))
    attached = attach_lora(model, mask)
    model.add_adapter("biased", lora("bert", lora_bias=True))
    randomize(model)
    assert attached.revived() == []
    model.set_adapter("biased")
    assert attached.revived() == [bias]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Linear(6, 6, bias=False)
        self.two = nn.Linear(6, 6, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(F.relu(self.one(x)))


@pytest.mark.parametrize("targets", [["two"], ["one"], ["one", "two"]])
def test_a_tied_weight_is_masked_wherever_it_has_adapters(targets):
    base = Tied()
    mask = prune(base, sparsity=0.5)
    assert list(mask) == ["one.weight"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # peft says that it is tied
        model = get_peft_model(base, LoraConfig(r=2, target_modules=targets))
        randomize(model)
        attached = attach_lora(model, mask)
        assert attached.layers == [f"{name}.weight" for name in targets]
        assert "1 of 1 layers have adapters" in repr(attached)
        assert attached.revived() == []
        merged = model.merge_and_unload()
    for layer in (merged.one, merged.two):
        assert layer.weight[mask["one.weight"]].any()
        assert not layer.weight[~mask["one.weight"]].any()


def test_a_tied_weight_loaded_under_either_name_and_a_copy_of_it():
    base = Tied()
    mask = prune(base, sparsity=0.5)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["one"], modules_to_save=["two"]))
    attached = attach_lora(model, mask)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 6)).square().mean().backward()
        optimizer.step()
    assert attached.revived() == []
    ones = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    model.load_state_dict(ones)
    assert attached.revived() == []
    assert not base.two.original_module.weight[~mask["one.weight"]].any()


def test_a_tied_embedding_with_adapters_is_refused():
    model = gpt2()
    mask = PruningMask.from_tensors({
        "lm_head.weight": torch.rand(VOCABULARY, 32) < 0.5,
    })  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = get_peft_model(model, LoraConfig(target_modules=["wte"]))
    refused(model, mask, "'transformer.wte.weight' has adapters of peft.*Embedding, .* take it")


def test_the_second_of_two_ends_alone():
    model, mask = adapted("gpt2", target_modules=["c_attn"])
    first = attach_lora(model, mask)
    with attach_lora(model, mask):
        pass
    assert first.revived() == []
    check_zero(model.merge_and_unload(), mask)


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.flat = nn.Conv2d(3, 8, 3, padding=1, stride=2, padding_mode="circular")
        self.line = nn.Conv1d(8, 6, 3, dilation=2)
        self.head = nn.Linear(6, 4, bias=False)

    def forward(self, x):
        return self.head(self.line(F.relu(self.flat(x)).flatten(2)).mean(-1))


def test_convolutions():
    base = Convolutions()
    mask = prune(base, sparsity=0.5, criterion="random")
    x = torch.randn(2, 3, 8, 8)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["flat", "line", "head"]))
    randomize(model)
    attached = attach_lora(model, mask)
    before = model(x)
    assert attached.layers == ["flat.weight", "line.weight", "head.weight"]
    assert attached.revived() == []
    merged = model.merge_and_unload()
    check_zero(merged, mask)
    assert torch.allclose(merged(x), before, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_precisions(dtype):
    base, mask = pruned("bert")
    model = get_peft_model(base.to(dtype), lora("bert"), autocast_adapter_dtype=False)
    randomize(model)
    attached = attach_lora(model, mask)
    model.eval()
    before = logits(model)
    logits(model).sum().backward()
    assert attached.revived() == []
    merged = model.merge_and_unload()
    check_zero(merged, mask)
    assert merged.bert.encoder.layer[0].attention.self.query.weight.dtype == dtype
    assert torch.allclose(logits(merged), before, atol=1e-6 if dtype == torch.float64 else 0.05)


def test_under_autocast():
    model, mask = adapted("gpt2")
    attach_lora(model, mask)
    with torch.autocast("cpu", torch.bfloat16):
        half = logits(model)
        half.sum().backward()
    assert torch.allclose(half.float(), logits(model), atol=0.1)
    check_zero(model.merge_and_unload(), mask)


def test_factors_that_are_not_finite_leave_zeros():
    model, mask = adapted("gpt2")
    attach_lora(model, mask)
    layer = model.get_base_model().transformer.h[0].attn.c_attn
    nn.init.constant_(layer.lora_B["default"].weight, float("inf"))
    model.merge_adapter()
    name = "transformer.h.0.attn.c_attn.weight"
    assert not layer.base_layer.weight[~mask[name]].any()
    model, _ = adapted("gpt2")
    attach_lora(model, mask)
    layer = model.get_base_model().transformer.h[0].attn.c_attn
    nn.init.constant_(layer.lora_B["default"].weight, float("nan"))
    with pytest.raises(ValueError, match="NaNs detected"):  # peft's own, which still sees kept ones
        model.merge_adapter(safe_merge=True)


def test_adapters_on_further_layers_are_masked_by_attaching_again():
    model, mask = adapted("gpt2", target_modules=["c_attn"])
    first = attach_lora(model, mask)
    assert len(first.layers) == 2
    model.add_adapter("more", lora("gpt2"))
    model.set_adapter("more")
    randomize(model)
    second = attach_lora(model, mask)
    assert len(second.layers) == 8
    assert second.revived() == []
    before = logits(model.eval())
    merged = model.merge_and_unload()
    check_zero(merged, mask)
    assert torch.allclose(logits(merged), before, atol=1e-5)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, pickled, saved])
def test_copies_are_masked_and_apart(copy_of):
    model, mask = adapted("bert")
    attach_lora(model, mask)
    before = logits(model.eval())
    twin = copy_of(model)
    assert torch.equal(logits(twin), before)
    randomize(twin, 12)
    assert torch.equal(logits(model), before)
    check_zero(twin.merge_and_unload(), mask)


def test_through_compile_and_wrappers():
    model, mask = adapted("bert")
    attach_lora(nn.DataParallel(model), mask)
    before = logits(model.eval())
    compiled = torch.compile(model, backend="eager")
    assert torch.allclose(logits(compiled), before, atol=1e-5)
    check_zero(model.merge_and_unload(), mask)


def test_adapters_without_a_model_of_peft_around():
    """As transformers' own `add_adapter` puts them in."""
    base, mask = pruned("gpt2")
    base = peft.inject_adapter_in_model(lora("gpt2"), base)
    randomize(base)
    attached = attach_lora(base, mask)
    assert len(attached.layers) == 8
    assert attached.revived() == []
    before = logits(base.eval())
    attached.detach()
    assert not torch.allclose(logits(base), before, atol=1e-3)


def test_detached_layers_are_plain_again():
    model, mask = adapted("gpt2")
    plain, _ = adapted("gpt2")
    kinds = [type(module) for module in plain.modules()]
    with attach_lora(model, mask) as attached:
        assert [type(module) for module in model.modules()] != kinds
        assert repr(attached).startswith("MaskedLora(8,000 of ")
    assert [type(module) for module in model.modules()] == kinds
    assert not any(getattr(module, "lora_variant", None) for module in model.modules())
    assert set(dict(model.named_buffers())) == set(dict(plain.named_buffers()))
    model.add_adapter("after", lora("gpt2"))
    assert attached.revived(), "it is plain LoRA now, and would merge dense"
    attach_lora(model, mask)
    assert attach_lora(model, mask).revived() == [], "twice is once"


def test_keeps_nothing_alive_and_the_random_state():
    state = torch.get_rng_state()
    model, mask = adapted("gpt2")
    torch.set_rng_state(state)
    attach_lora(model, mask)
    assert torch.equal(torch.get_rng_state(), state)
    gone = weakref.ref(model.get_base_model())
    del model
    gc.collect()
    assert gone() is None


def snapshot(model):
    tensors = {**model.state_dict(), **dict(model.named_buffers())}
    values = {name: value.detach().clone() for name, value in tensors.items()}
    hooks = sum(len(m._load_state_dict_post_hooks) for m in model.modules())
    return values, [type(m) for m in model.modules()], hooks


def refused(model, mask, message, error=UsageError):
    before = snapshot(model)
    with pytest.raises(error, match=message):
        attach_lora(model, mask)
    after = snapshot(model)
    assert before[1:] == after[1:]
    assert set(before[0]) == set(after[0])
    for name, value in before[0].items():
        assert torch.equal(value, after[0][name]), name


def test_what_cannot_be_masked_is_refused_and_nothing_changes():
    base, mask = pruned("bert")
    model = get_peft_model(base, lora("bert", use_dora=True))
    refused(model, mask, "adapter 'default' of '.*' is a DoraLinearVariant.* use plain LoRA")
    model, mask = adapted("bert")
    model.merge_adapter()
    refused(model, mask, r"are merged, without the mask: unmerge_adapter\(\) first")
    model, mask = adapted("bert")
    attach_lora(model, mask)
    other = PruningMask.from_tensors({n: ~kept for n, kept in mask.items()})
    refused(model, other, "is held to another mask already; detach")
    with pytest.raises(UsageError, match="the new adapter is a DoraLinearVariant"):
        model.add_adapter("dora", lora("bert", use_dora=True))
    base, mask = pruned("bert")
    embedding = "bert.embeddings.word_embeddings.weight"
    more = PruningMask.from_tensors({**mask, embedding: torch.ones(65, 32, dtype=torch.bool)})
    model = get_peft_model(base, LoraConfig(target_modules=["word_embeddings"]))
    refused(model, more, f"'{embedding}' has adapters of peft.*Embedding, .* take it out of")
    base, mask = pruned("bert")
    model = get_peft_model(base, peft.IA3Config(target_modules=BERT, feedforward_modules=[]))
    refused(model, mask, "has adapters of peft.tuners.ia3.*other tuners")
    base, mask = pruned("bert")
    config = peft.AdaLoraConfig(target_modules=BERT, init_r=4, target_r=2, total_step=10)
    refused(get_peft_model(base, config), mask, "has adapters of peft.tuners.adalora.*SVDLinear")
    attention = nn.Sequential(nn.MultiheadAttention(8, 2))
    mask = PruningMask.from_tensors({"0.in_proj_weight": torch.ones(24, 8, dtype=torch.bool)})
    model = get_peft_model(attention, LoraConfig(target_modules=["0"]))
    refused(model, mask, "'0.in_proj_weight' has adapters of peft.*MultiheadAttention")
    mask = PruningMask.from_tensors({"0.out_proj.weight": torch.ones(8, 8, dtype=torch.bool)})
    refused(model, mask, "no parameter '0.out_proj.weight'.*; it is inside a MultiheadAttention")
    base, _ = pruned("bert")
    model = get_peft_model(base, lora("bert", lora_bias=True))
    bias = "bert.encoder.layer.0.attention.self.query.bias"
    mask = PruningMask.from_tensors({bias: torch.zeros(32, dtype=torch.bool)})
    refused(model, mask, f"'{bias}' is masked, and lora_bias=True adds to it")


class Stubborn(nn.Linear):
    def register_load_state_dict_post_hook(self, hook):
        raise RuntimeError("no hooks here")


@pytest.mark.parametrize("kind", ["pruned by torch", "unforeseen"])
def test_a_failure_halfway_leaves_no_trace(kind):
    """The second of two layers: the first is as it was, its zeros too."""
    torch.manual_seed(0)
    last = (Stubborn if kind == "unforeseen" else nn.Linear)(8, 4)
    base = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), last)
    mask = prune(base, sparsity=0.5)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["0"]))
    if kind == "unforeseen":
        refused(model, mask, "no hooks here", RuntimeError)
    else:
        torch.nn.utils.prune.l1_unstructured(base[2], "weight", amount=0.1)
        refused(model, mask, r"'2.weight' cannot be held: .*torch.nn.utils.prune keeps it as")
    assert base[0].base_layer.weight[~mask["0.weight"]].all()
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    assert not base[0].base_layer.weight.requires_grad


def test_what_does_not_belong_together_is_refused_and_nothing_changes():
    model, mask = adapted("bert")
    refused(model, PruningMask(model), "peft's own: make the mask of the base model, before get_")
    wrong = {"bert.encoder.layer.0.attention.self.quary.weight": next(iter(mask.values()))}
    refused(model, PruningMask.from_tensors(wrong), "has no parameter .*; did you mean '.*query.w")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    shape = PruningMask.from_tensors({name: torch.ones(3, 3, dtype=torch.bool)})
    refused(
        model, shape, r"the mask of '.*query.weight' has shape \(3, 3\), the model has \(32, 32"
    )
    _, other = pruned("gpt2")
    refused(model, other, "the base model has no parameter 'transformer.h.0.attn.c_attn.weight'")
    refused(model, {name: torch.ones(32, 32)}, "must be a bool tensor, got torch.float32")
    for wrong in (None, "x", [1], {1: torch.ones(1, dtype=torch.bool)}):
        refused(model, wrong, "a mask (is made of bool tensors by parameter name|has names)")
    with pytest.raises(UsageError, match="got a dict, wanted a model"):
        attach_lora({}, mask)


def test_the_page_of_the_docs_runs_and_prints_what_it_shows(capsys):
    page = Path(__file__).parents[2] / "docs" / "lora.md"
    blocks = re.findall(
        r"```python\n(.*?)```\n\n```text\n(.*?)```", page.read_text(encoding="utf-8"), re.S
    )
    assert len(blocks) == 1
    for code, shown in blocks:
        exec(code, {})
        assert capsys.readouterr().out == shown


def test_a_model_without_adapters_is_refused_as_those_it_gets_later_would_not_be_masked():
    base, mask = pruned("bert")
    refused(base, mask, "none of the 14 masked layers has an adapter")
    elsewhere = peft.get_peft_model(base, peft.LoraConfig(target_modules=["word_embeddings"]))
    refused(elsewhere, mask, "target_modules that the mask names")


@pytest.fixture
def fresh_check():
    ours = importlib.import_module("lottery_ticket.integrations.peft")
    ours.check_works.cache_clear()
    yield
    ours.check_works.cache_clear()


def test_other_versions_of_peft_are_said(monkeypatch, fresh_check):
    model, mask = adapted("bert")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.17.1")
    refused(model, mask, "this is peft 0.17.1, wanted 0.18 or later: pip install -U", LotteryError)
    monkeypatch.undo()
    forward = peft.tuners.lora.layer.Linear.forward
    with monkeypatch.context() as changed:  # as if it asked no variant
        changed.setattr(
            peft.tuners.lora.layer.Linear, "forward", lambda self, x, **options: self.base_layer(x)
        )
        refused(model, mask, "computes or merges in a way that is not known here", LotteryError)
    assert peft.tuners.lora.layer.Linear.forward is forward
    with monkeypatch.context() as changed:
        changed.setattr(peft.tuners.lora.layer.Linear, "merge", None)
        refused(model, mask, "fails with it", LotteryError)


def test_without_peft_the_error_names_what_to_install(monkeypatch, fresh_check):
    base, mask = pruned("bert")
    monkeypatch.setitem(sys.modules, "peft.tuners.lora.layer", None)
    refused(base, mask, r"needs peft, not installed here .* pip install 'lottery-ticket\[hf\]'",
            LotteryError)  # fmt: skip
