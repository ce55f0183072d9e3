# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A winning ticket in a minute
#
# A neural network is trained. Most of its weights can then be thrown away, and it still works. That
# was known for long. The surprise of 2019 was another one: *the same weights that are left could
# have been trained alone from the start*, from the very values they had before any training.
# Frankle and Carbin called them a **winning ticket**: the network that won the lottery of its
# initialisation.
#
# Here you find some, on 1,797 real handwritten digits that come with scikit-learn. Nothing is
# downloaded. Then you try to disbelieve it.

# %%
SOURCE = "lottery-ticket"  # what pip installs, if the package is not here: a name or a folder

import importlib.util

if importlib.util.find_spec("lottery_ticket") is None:
    from IPython import get_ipython

    get_ipython().run_line_magic("pip", f"install -q {SOURCE}")

# %% tags=["parameters"]
REPLICATES = 10  # whole searches, each with its own random numbers
LEVELS = 12  # how often it is pruned
EPOCHS = 8  # how long each network is trained

# %% [markdown]
# ## The digits
#
# Each is an image of 8 × 8 pixels. The network sees 64 numbers and says which digit they are.

# %%
import matplotlib.pyplot as plt

import lottery_ticket
from lottery_ticket.data import load_dataset

data = load_dataset("digits")
figure, axes = plt.subplots(1, 10, figsize=(8, 1.2))
for ax, image, label in zip(axes, data.test.x, data.test.y, strict=False):
    ax.imshow(image.reshape(8, 8), cmap="gray")
    ax.set_title(int(label))
    ax.axis("off")

# %%
data

# %% [markdown]
# ## The search
#
# Three steps, again and again:
#
# 1. train the network;
# 2. prune the smallest of its weights: set them to zero, for good;
# 3. set all others back to the values that they had *before* training.
#
# Each round is a *level*; level 0 is the whole network, called *dense*. At every level a second
# network is trained, `reinit`: the same weights are pruned, but the others start from *fresh*
# random values. If the mask alone were the secret, it would do as well.
#
# The whole search is repeated with other random numbers. Without that, nobody can tell a winning
# ticket from luck.

# %%
result = lottery_ticket.run(
    "quickstart",
    overrides=[
        f"replicates={REPLICATES}",
        f"prune.levels={LEVELS}",
        f"train.duration={EPOCHS}ep",
    ],
)

# %%
result

# %% [markdown]
# How to read it:
#
# - The line at the top is the **verdict**. A ticket is *winning* if it is not worse than dense, by
#   a margin that was chosen before looking (here one point of accuracy), *and* better than
#   `reinit`. Each sign is a level: ✓ winning, = no better than `reinit`, ✗ worse than dense, ? not
#   decided. The filled ones are claimed all together: a run without any ticket would make such a
#   claim in about 5 of 100 cases at most.
# - In the figure the axis of the weights goes from all (left) to few (right), on a log scale.
#
# Run the cell with the search again. It is finished at once: whatever is trained is kept in a
# folder, `lottery_runs`, and found there.

# %% [markdown]
# ## Which weights are left?
#
# The verdict speaks of one level. This is its mask in the first replicate, layer by layer.

# %%
level = result.verdict().shown.level
masks = result.masks(levels=[level])
mask = next(iter(masks.values()))
mask

# %% [markdown]
# ## Is it the ticket, or just its mask?
#
# Ticket minus dense, and ticket minus `reinit`, with 95 % intervals. Zero means no difference.

# %%
from lottery_ticket.plots import difference_figure

difference_figure(result.verdict())

# %%
verdict = result.verdict()
row = verdict.contrast(verdict.shown.level, "reinit")
print(
    f"At level {verdict.shown.level} the ticket differs from reinit by "
    f"{100 * row['difference']:+.2f} points, over {row['n']} replicates."
)
print(verdict.sentence)

# %% [markdown]
# ## Take it with you
#
# The trained ticket is a plain PyTorch model with zeros in it. Exported, it is a file that any
# PyTorch loads, and a packed one that is smaller. Both were read again and compared with the model
# before this cell ended.

# %%
import shutil

shutil.rmtree("winning-ticket", ignore_errors=True)
result.export(level, format=["state_dict", "packed"], out="winning-ticket")

# %% [markdown]
# And this is the whole story as one page, to send or to keep: `result.report("report.html")` writes
# it to a file.

# %%
result.report()

# %% [markdown]
# ## What next?
#
# - [Your own model](your_own_model.ipynb): your network, your training loop.
# - [MNIST](mnist.ipynb): the network and the data of the paper.
# - [Which weights does it keep?](which_weights.ipynb)
#
# Frankle and Carbin, *The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks*,
# ICLR 2019, [arXiv:1803.03635](https://arxiv.org/abs/1803.03635).
