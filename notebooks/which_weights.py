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
# # Which weights does it keep?
#
# A winning ticket is a mask and some initial weights. Which weights are in it? Are they the same
# ones when one begins anew? Does it matter which values they had? This notebook looks inside.
#
# By default it looks at 8 × 8 images of digits, in a minute and without a download. With `PRESET =
# "lenet-mnist"` it looks at the 28 × 28 ones of MNIST, which takes longer and shows more.

# %%
SOURCE = "lottery-ticket"  # what pip installs, if the package is not here: a name or a folder

import importlib.util

if importlib.util.find_spec("lottery_ticket") is None:
    from IPython import get_ipython

    get_ipython().run_line_magic("pip", f"install -q {SOURCE}")

# %% tags=["parameters"]
PRESET = "quickstart"  # or "lenet-mnist"
OVERRIDES = ["replicates=5"]

# %%
import lottery_ticket

result = lottery_ticket.run(PRESET, overrides=OVERRIDES)
print(result.verdict().sentence)

# %% [markdown]
# ## Layer by layer
#
# Pruning is *global* here: all weights are ranked together by their size after training, and the
# smallest go, in whatever layer they are. So each layer ends with a density of its own. The dashed
# line is that of all weights together.

# %%
from lottery_ticket.plots import layers_figure

layers_figure(result.tables.layers)

# %%
layers = result.tables.layers
last = layers.loc[(layers["arm"] == "ticket") & (layers["level"] == layers["level"].max())]
kept = last.groupby("layer", sort=False)[["num_kept", "num_prunable"]].sum()
density = kept["num_kept"] / kept["num_prunable"]
print(f"sparsest level: {density.idxmax()} keeps {density.max():.1%} of its weights,")
print(f"{density.idxmin()} keeps {density.min():.1%}")

# %% [markdown]
# It is often the last one. One reason: weights begin small where a unit has many inputs, and the
# last layer has the fewest. Its weights begin larger than those of other layers, and a ranking over
# all layers keeps what is large.

# %% [markdown]
# ## What the first layer looks at
#
# Each input is a pixel. How many weights of the first layer still read it? Bright: many. Grey: none
# at all, in any replicate. Nobody told the network what an image is.

# %%
from lottery_ticket.plots import inputs_figure

inputs_figure(result.tables.inputs)

# %% [markdown]
# A guess: it looks where the images *differ*. Pixels that are the same in all images tell nothing.
# So compare, pixel by pixel, how much a pixel varies with how many weights read it.

# %%
from scipy.stats import spearmanr

from lottery_ticket.data import load_dataset

spec = result.record.spec
data = load_dataset(spec["data"]["name"])
varies = data.train.x.flatten(1).std(0).numpy()
inputs = result.tables.inputs
some = sorted(inputs["level"].unique())
level = some[2 * len(some) // 3]
read = inputs.loc[inputs["level"] == level].groupby("input")["density"].mean()
read = read.sort_index().to_numpy()
rank = spearmanr(varies, read).statistic
still = varies < 1e-6
print(f"level {level}: rank correlation of variation and weights: {rank:+.2f}")
print(f"{still.sum()} pixels never change; {int((read[still] > 0).sum())} of them are still read")
print(f"{(~still).sum()} pixels change; {int((read[~still] > 0).sum())} of them are still read")

# %%
import matplotlib.pyplot as plt

side = round(len(varies) ** 0.5)
figure, axes = plt.subplots(1, 2, figsize=(6, 3))
for ax, values, title in zip(
    axes, (varies, read), ("how much a pixel varies", "weights that read it"), strict=True
):
    ax.imshow(values.reshape(side, side), cmap="cividis")
    ax.set_title(title, fontsize=10)
    ax.axis("off")

# %% [markdown]
# A correlation of +1 would be: the more a pixel varies, the more weights read it. Is the picture on
# the left the one on the right?

# %% [markdown]
# ## Do two searches find the same mask?
#
# Each replicate began with other random weights. Count the weights that two replicates *both* keep,
# of those that at least one keeps. Two masks drawn at random, with as many weights in each layer,
# share some as well: that is the dashed line.

# %%
from lottery_ticket.plots import overlap_figure

overlap_figure(result.tables.overlap)

# %%
overlap = result.tables.overlap
whole = overlap.loc[(overlap["layer"] == "all") & (overlap["level"] > 0)]
by_level = whole.groupby("level")[["share", "expected_share"]].mean()
times = by_level["share"] / by_level["expected_share"]
print(f"sparsest level: {by_level['share'].iloc[-1]:.1%} of the weights are shared,")
print(f"{times.iloc[-1]:.2f} times chance; over all levels {times.min():.2f} to {times.max():.2f}")
sparsest = overlap.loc[overlap["level"] == overlap["level"].max()]
for layer, rows in sparsest.groupby("layer", sort=False):
    print(f"{layer}: {rows['share'].mean() / rows['expected_share'].mean():.2f} times chance")

# %% [markdown]
# Once is chance. The first layer looks at the same pixels in each replicate, so it has a reason to
# keep weights in the same places. Deeper layers have less of one: hidden units have no names, and
# unit 17 of one network has nothing to do with unit 17 of another. The lower panel shows it layer
# by layer.

# %% [markdown]
# ## Do the signs stay?
#
# Of the weights that are kept: how many end their training with the sign they began with? If half
# of them did, the initial value would be forgotten.

# %%
from lottery_ticket.plots import signs_figure

signs_figure(result.tables.kept_weights, result.table)

# %%
kept = result.tables.kept_weights
whole = kept.loc[(kept["layer"] == "all") & (kept["level"] == kept["level"].max())]
for arm, rows in whole.groupby("arm"):
    signs, r = rows["sign_kept"].mean(), rows["magnitude_correlation"].mean()
    print(f"{arm}: {signs:.1%} of the kept weights kept their sign; magnitudes: r = {r:+.2f}")

# %% [markdown]
# Compare the two arms. The ticket's weights were *chosen* by what became of them in an earlier
# training from the same start; those of `reinit` were not. Zhou and others (2019) found that the
# signs of the initial weights matter more than their sizes; `arms=[ticket, reinit, sign_reinit]` is
# the arm that tests it.
#
# H. Zhou, J. Lan, R. Liu and J. Yosinski, *Deconstructing Lottery Tickets: Zeros, Signs, and the
# Supermask*, NeurIPS 2019, [arXiv:1905.01067](https://arxiv.org/abs/1905.01067).
