"""Layers that transformers has of its own: GPT-2's `Conv1D`, and experts in one parameter."""

import pytest
import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    MixtralConfig,
    MixtralForCausalLM,
)

from lottery_ticket.export import PrunedModel, check_n_m, export
from lottery_ticket.masks import PruningMask, input_dims, num_groups
from lottery_ticket.pruning import prune

SMALL = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def gpt2(kind, **options):
    torch.manual_seed(0)
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return kind(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=1, n_head=2, **ends, **options)
    ).eval()


LAYERS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
GPT2 = [f"transformer.h.0.{layer}.weight" for layer in LAYERS]


def test_gpt2():
    classifier = gpt2(GPT2ForSequenceClassification, num_labels=2)
    assert list(PruningMask(classifier)) == [*GPT2, "score.weight"]
    model = gpt2(GPT2LMHeadModel)
    mask = prune(model, sparsity=0.9)
    assert (list(mask), mask.num_prunable) == (GPT2, 16 * 16 * (3 + 1 + 4 + 4))
    assert mask.left_out["transformer.wte.weight"] == "embedding, shared with lm_head.weight"
    assert "left out: transformer.wte.weight (embedding, shared with lm_head.weight)" in repr(mask)


class Logits(nn.Module):
    """A tensor for a tensor."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, ids):
        return self.inner(ids).logits


def test_two_four_gpt2(tmp_path):
    model = Logits(gpt2(GPT2LMHeadModel))
    mask = prune(model, sparsity=0.5, structure="2:4")
    mask.apply(model)
    x = torch.randn(5, model.inner.config.n_embd)
    layer = model.inner.transformer.h[0].mlp.c_fc
    used = (layer.weight.T.unflatten(1, (-1, 4)) != 0).sum(-1)  # along what it sums over
    assert torch.equal(layer(x), x @ layer.weight + layer.bias)
    assert int(used.max()) == 2
    names = [f"inner.{name}" for name in GPT2]
    assert check_n_m(model) == names
    pruned = PrunedModel.of(model, torch.randint(3, 64, (8, 8)), mask=mask)
    assert export(pruned, format="2:4", out=tmp_path / "out").files[0].facts["layers"] == names


EXPERTS = {
    "Mixtral": (MixtralForCausalLM, MixtralConfig, "mlp.experts", 2),
    "GPT-OSS": (GptOssForCausalLM, GptOssConfig, "mlp.experts", -2),
    "Llama 4": (Llama4ForCausalLM, Llama4TextConfig, "feed_forward.experts", -2),
}


@pytest.mark.parametrize("family", EXPERTS)
def test_experts(family):
    kind, config, place, dim = EXPERTS[family]
    sizes = {"intermediate_size": 12} | ({"intermediate_size_mlp": 24} if "Ll" in family else {})
    torch.manual_seed(0)
    model = kind(config(**SMALL, **sizes)).eval()
    names = [f"model.layers.0.{place}.{leaf}" for leaf in ("gate_up_proj", "down_proj")]
    mask = PruningMask(model, targets=names)
    assert set(names) < set(PruningMask(model))
    dims = input_dims(model, names)
    assert set(dims.values()) == {dim}
    # gate_up_proj sums over the 16 hidden units, down_proj over the 12 between
    assert [mask[name].shape[dims[name]] for name in names] == [16, 12]
    assert num_groups(mask, "channel", input_dims=dims) == {names[0]: 4 * 24, names[1]: 4 * 16}
    for name, kept in prune(model, mask, sparsity=0.5, structure="2:4").items():
        assert (kept.movedim(dims[name], -1).unflatten(-1, (-1, 4)).sum(-1) == 2).all()
    prune(model, sparsity=0.5).apply(model)
    assert model(torch.randint(3, 32, (2, 6))).logits.isfinite().all()
