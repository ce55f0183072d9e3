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
# # Your own model
#
# You have a network and a loop that trains it. This notebook finds a winning ticket in them, checks
# it against controls, saves it, loads it, and trains it once more by hand. The data are small, real
# and come with scikit-learn: replace them by yours.

# %%
SOURCE = "lottery-ticket"  # what pip installs, if the package is not here: a name or a folder

import importlib.util

if importlib.util.find_spec("lottery_ticket") is None:
    from IPython import get_ipython

    get_ipython().run_line_magic("pip", f"install -q {SOURCE}")

# %% tags=["parameters"]
EPOCHS = 8
ROUNDS = 8  # how often it is pruned
SPARSITY = 0.95  # which part of the weights goes
SEEDS = 5  # whole searches

# %% [markdown]
# ## Your code
#
# Three functions. They know nothing of tickets.
#
# - `net()` builds a fresh network.
# - `train_fn(model, mask)` trains it in place. It may ignore the mask: pruned weights are held at
#   zero for it, and so are their gradients and momentum.
# - `eval_fn(model)` returns one number, higher is better. It looks at the *validation* images,
#   since choices are made by it. The test images are for the end.

# %%
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lottery_ticket.data import load_dataset

data = load_dataset("digits")


def net():
    hidden = [nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(50, 10))


def train_fn(model, mask):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(data.train)).split(64):
            optimizer.zero_grad()
            cross_entropy(model(data.train.x[rows]), data.train.y[rows]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model, split):
    return (model(split.x).argmax(1) == split.y).float().mean().item()


def eval_fn(model):
    return accuracy(model, data.validation)


# %% [markdown]
# ## What would be pruned?
#
# Weights of linear layers and convolutions. Biases are not, nor are norms and embeddings, and they
# are in no count. Look before you train:

# %%
from lottery_ticket import PruningMask

PruningMask(net())

# %% [markdown]
# ## Search
#
# The finder trains, prunes, rewinds and repeats. Each line is a training.

# %%
from lottery_ticket import LotteryTicketFinder

finder = LotteryTicketFinder(model_fn=net, seed=0)
model, mask, results = finder.find_winning_ticket(
    train_fn=train_fn, eval_fn=eval_fn, target_sparsity=SPARSITY, pruning_rounds=ROUNDS
)

# %% [markdown]
# ## Verify
#
# A good sparse network alone proves nothing: perhaps *any* sparse network of that size is good
# here. So others are trained with as many weights:
#
# - `reinit`: the ticket's mask, fresh weights;
# - `shuffled`: as many weights in each layer, at random places;
# - `random`: weights pruned at random;
# - `oneshot`: all at once, by the size of the trained weights.

# %%
finder.verify(
    train_fn,
    eval_fn,
    arms=["reinit", "shuffled", "random", "oneshot"],
    replicates=3,
    verbose=False,
)
results

# %%
for arm in ("reinit", "shuffled", "random", "oneshot"):
    values = results.control(arm)
    mean = sum(values) / len(values)
    better = "better" if results.ticket > mean else "no better"
    print(f"ticket {100 * results.ticket:.2f} %, {arm} {100 * mean:.2f} %: {better} in this search")

# %% [markdown]
# ## Is it luck?
#
# One search is one draw, and "better in this search" may be one image of 300: no comparison yet.
# For a verdict, search again under other seeds and hold all searches
# together. `eval_fn` looks at 300 images, so one image is a third of a point: the margin is one
# point.

# %%
searches = [results]
for seed in range(1, SEEDS):
    other = LotteryTicketFinder(model_fn=net, seed=seed)
    other.find_winning_ticket(
        train_fn=train_fn,
        eval_fn=eval_fn,
        target_sparsity=SPARSITY,
        pruning_rounds=ROUNDS,
        verbose=False,
    )
    arms = ["reinit", "shuffled", "random", "oneshot"]
    other.verify(train_fn, eval_fn, arms=arms, replicates=3, verbose=False)
    searches.append(other.results)

searches[0].verdict(*searches[1:], margin=1.0)

# %% [markdown]
# Not decided? Then more seeds may tell; the card says about how many.

# %% [markdown]
# ## Keep the ticket
#
# A ticket is the mask and the *initial* weights: what one needs to train it again. The file holds
# no code, and nothing in it is executed when it is loaded.

# %%
from pathlib import Path

finder.ticket().save("digits.ticket.safetensors")
print(f"{Path('digits.ticket.safetensors').stat().st_size:,} bytes")

# %% [markdown]
# ## Train it in a loop of your own
#
# Somebody else loads it, puts it into a network, and trains: one line holds the mask.

# %%
from lottery_ticket import Ticket

ticket = Ticket.load("digits.ticket.safetensors")
fresh = ticket.apply(net())
optimizer = torch.optim.SGD(fresh.parameters(), lr=0.1, momentum=0.9)

attached = ticket.mask.attach(fresh, optimizer)  # the one line
torch.manual_seed(0)
for _ in range(EPOCHS):
    for rows in torch.randperm(len(data.train)).split(64):
        optimizer.zero_grad()
        cross_entropy(fresh(data.train.x[rows]), data.train.y[rows]).backward()
        optimizer.step()
attached

# %%
attached.detach()
num_zero = sum(int((p == 0).sum()) for name, p in fresh.named_parameters() if name in ticket.mask)
num_pruned = ticket.mask.num_prunable - ticket.mask.num_kept
print(f"{num_pruned:,} weights are pruned, and {num_zero:,} are zero after training")
print(f"test accuracy, at last: {100 * accuracy(fresh, data.test):.2f} %")

# %% [markdown]
# ## Your turn
#
# Replace `net`, `train_fn` and `eval_fn` by yours. What else the finder can do (late rewinding,
# channels, 2:4, criteria of your own, continuing after a crash) is in [the
# manual](../docs/your-own-model.md).
