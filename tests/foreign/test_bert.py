"""BERT encoders of transformers, small and untrained: a classifier, and a tied language model."""

import functools
from dataclasses import replace

import pytest
import torch
from foreign_search import Task, check_search, check_ticket, searched
from transformers import (
    BatchEncoding,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
)

from lottery_ticket.criteria import grasp, score
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune
from lottery_ticket.tickets import Ticket, WeightsOrigin

LENGTH = 32


def config(text, **options):
    return BertConfig(
        vocab_size=text.num_characters,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        max_position_embeddings=LENGTH,
        **options,
    )


def own_loss(model, batch):
    return model(**batch).loss


@pytest.fixture(scope="module")
def which_half(text):
    """From which half of the text a chunk is."""
    chunks, starts = text.chunks(64, LENGTH)
    labels = (starts > len(text.ids) // 2).long()
    batches = [
        BatchEncoding({"input_ids": x, "labels": y})
        for x, y in zip(chunks.split(16), labels.split(16), strict=True)
    ]
    build = functools.partial(BertForSequenceClassification, config(text, num_labels=2))
    return Task(build, batches, own_loss, epochs=9, lr=3e-3)


@pytest.fixture(scope="module")
def hidden_characters(text):
    """Which characters are hidden in a chunk; every fifth is."""
    chunks, _ = text.chunks(64, LENGTH)
    is_hidden = (torch.arange(LENGTH) % 5 == 2).expand_as(chunks)
    inputs, labels = chunks.masked_fill(is_hidden, 0), chunks.masked_fill(~is_hidden, -100)
    batches = [
        {"input_ids": x, "labels": y}
        for x, y in zip(inputs.split(16), labels.split(16), strict=True)
    ]
    return Task(functools.partial(BertForMaskedLM, config(text)), batches, own_loss, 6, lr=3e-3)


@pytest.fixture(scope="module")
def classifier(which_half):
    return searched(which_half)


def test_classifier_has_a_ticket(classifier, which_half):
    check_search(which_half, classifier)
    layers = list(classifier.mask)
    assert len(layers) == 14  # six in each layer, the pooler's and the classifier's
    assert not any("embeddings" in name or "LayerNorm" in name for name in layers)


def test_ticket_of_the_classifier_is_shipped(classifier, which_half, tmp_path):
    origin = WeightsOrigin(classifier.finder.initial_state)
    path = tmp_path / "bert.ticket.safetensors"
    ticket = check_ticket(classifier, origin, path, which_half.build)
    model, x = which_half.build(), which_half.batches[0]
    with torch.no_grad():
        logits = ticket.apply(model, trained=True).eval()(**x).logits
        assert torch.equal(logits, classifier.model.eval()(**x).logits)


def test_snip_prunes_the_classifier_by_its_own_loss(which_half):
    """Batches are mappings, the model computes its loss itself, nothing else is said."""
    model = which_half.build()
    dense = PruningMask(model)
    scores = score("snip", model=model, mask=dense, batches=which_half.batches)
    assert sum(float(values.sum()) for values in scores.values()) == pytest.approx(1.0)
    assert all(bool(values.any()) for values in scores.values())
    by_hand = dict.fromkeys(dense, 0.0)
    for batch in which_half.batches:  # all of a size
        model.eval().zero_grad()
        own_loss(model, batch).backward()
        by_hand = {name: by_hand[name] + model.get_parameter(name).grad for name in dense}
    gates = {n: (g * model.get_parameter(n).detach()).abs().double() for n, g in by_hand.items()}
    total = sum(values.sum() for values in gates.values())
    for name, values in scores.items():
        torch.testing.assert_close(values, gates[name] / total, rtol=1e-3, atol=1e-9)


def test_search_at_initialisation_by_snip(which_half):
    found = searched(
        replace(which_half, epochs=1),  # the mask is made before
        **{"criterion": "snip", "pipeline": "at_init", "scope": "layerwise"},
        **{"batches": which_half.batches, "pruning_rounds": None},
    )
    assert found.finder.results.is_valid
    assert found.mask.sparsity == pytest.approx(0.75, abs=1e-3)
    given = {"criterion": "snip", "scope": "layerwise", "batches": which_half.batches}
    model = which_half.build()
    model.load_state_dict(found.finder.initial_state)
    assert found.mask == prune(model, sparsity=0.75, **given)


def test_grasp_differentiates_its_attention_twice(which_half):
    own = functools.partial(grasp, temperature=1)
    given = {"criterion": own, "scope": "layerwise", "batches": which_half.batches[:1]}
    mask = prune(which_half.build(), sparsity=0.5, **given)
    assert mask.density == pytest.approx(0.5, abs=1e-3)


WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


def check_is_tied(model):
    parameters = dict(model.named_parameters(remove_duplicate=False))
    assert parameters[DECODER] is parameters[WORDS]


def test_tied_decoder_is_left_alone(hidden_characters, tmp_path):
    """It is an embedding as well, and embeddings are prunable on request only."""
    found = searched(hidden_characters)
    check_search(hidden_characters, found)
    check_is_tied(found.model)
    assert not {WORDS, DECODER} & set(found.mask)
    assert found.model.state_dict()[DECODER].all(dim=1)[1:].all()
    origin = WeightsOrigin(found.finder.initial_state)
    ticket = check_ticket(found, origin, tmp_path / "lm", hidden_characters.build)
    check_is_tied(ticket.apply(hidden_characters.build()))


@pytest.fixture(scope="module")
def pruned_with_its_words(hidden_characters):
    return searched(hidden_characters, targets=["Linear", DECODER])


def test_tied_decoder_is_pruned_on_request(pruned_with_its_words, hidden_characters, tmp_path):
    """By either of its names; it counts once, under the first."""
    found = pruned_with_its_words
    check_search(hidden_characters, found)
    check_is_tied(found.model)
    assert WORDS in found.mask
    assert DECODER not in found.mask
    sizes = {name: value.numel() for name, value in found.model.named_parameters()}
    assert found.mask.num_prunable == sum(sizes[name] for name in found.mask)
    origin = WeightsOrigin(found.finder.initial_state)
    ticket = check_ticket(found, origin, tmp_path / "lm", hidden_characters.build)
    check_is_tied(ticket.apply(hidden_characters.build()))


def check_is_pruned_under_both_names(weights, mask):
    """As a plain `state_dict` for other programs."""
    assert all(not weights[name][~mask[WORDS]].any() for name in (WORDS, DECODER))


def test_tied_weights_are_zero_under_both_names(pruned_with_its_words, hidden_characters):
    found = pruned_with_its_words
    check_is_pruned_under_both_names(found.model.state_dict(), found.mask)
    model = hidden_characters.build()
    model.load_state_dict(found.finder.initial_state)
    ticket = Ticket(found.mask, WeightsOrigin(model.state_dict()))
    check_is_pruned_under_both_names(ticket.weights(), found.mask)
    with pytest.raises(AssertionError):
        check_is_pruned_under_both_names(model.state_dict(), found.mask)


def test_tied_weights_of_a_search_are_zero_under_both_names(pruned_with_its_words):
    found = pruned_with_its_words
    ticket = Ticket(found.mask, WeightsOrigin(found.finder.initial_state))
    check_is_pruned_under_both_names(ticket.weights(), found.mask)
