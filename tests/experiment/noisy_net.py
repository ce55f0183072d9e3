"""A net with dropout, brought in by `imports`: its training draws random numbers at every step."""

from torch import nn

from lottery_ticket import register_model


@register_model("Noisy")
def noisy(input_size: int = 64, num_classes: int = 10) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(input_size, 12), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(12, num_classes),
    )  # fmt: skip
