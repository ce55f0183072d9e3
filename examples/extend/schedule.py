"""A schedule of one's own: one cycle up and down (Smith 2018).

    lottery run quickstart --import examples/extend/schedule.py \
        --set 'train.schedule={triangle: {peak: 0.3}}'
"""

from lottery_ticket import register_schedule


@register_schedule("triangle")
def triangle(step, total_steps, peak: float = 0.4):
    """What the learning rate is multiplied by; a pure function, since trainings are continued."""
    top = peak * total_steps
    return (step + 1) / top if step < top else max(1 - (step - top) / (total_steps - top), 0.0)
