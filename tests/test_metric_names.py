"""Names of metrics tell which value is better."""

import pytest

from lottery_ticket.metric_names import is_lower_better

LOWER = """
    loss eval_loss evalloss val/loss val_loss_epoch val_loss/dataloader_idx_0 eval_perplexity PPL
    eval_wer test.cer eval_mse eval_rmse val-mae top1_error MeanSquaredError eval_nll
"""
HIGHER = """
    accuracy eval_answer eval_power eval_officer loss_drop eval_f1 eval_los val_acc_step
    error_free_rate /dataloader_idx_0
"""


@pytest.mark.parametrize("name", LOWER.split())
def test_lower_is_better(name):
    assert is_lower_better(name)


@pytest.mark.parametrize("name", ["", *HIGHER.split()])
def test_higher_is_better(name):
    assert not is_lower_better(name)
