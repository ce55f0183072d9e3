# `make check` is what CI runs.
PYTHON ?= .venv/bin/python
BIN := $(dir $(PYTHON))

.PHONY: check lint test test-slow fuzz chaos chaos-ray bench gpu docs api ray
.PHONY: slurm lightning hf trackers notebooks

check:
	bash .ci/run

lint:
	$(BIN)ruff format --check .
	$(BIN)ruff check .
	$(BIN)pyright --pythonpath $(PYTHON)
	$(BIN)lint-imports

test:
	$(PYTHON) -m pytest

test-slow:
	$(PYTHON) -m pytest -m slow

# damaged and hostile files against every reader; ARGS='--reader ticket --case 7' for one of them
fuzz:
	PYTHONPATH=tests $(PYTHON) -m fuzz $(ARGS)

# workers that are killed, stopped and cut off, against a server that fails; half an hour;
# ARGS='--round 17' for one round
chaos:
	PYTHONPATH=tests $(PYTHON) -m chaos $(ARGS)

# the same over Ray, of which a node is lost in each of five rounds
chaos-ray:
	bash .ci/ray chaos $(ARGS)

# the executor over Ray, in an environment and a network of its own
ray:
	bash .ci/ray $(ARGS)

# integrations, each against the library itself, in an environment of its own. Slurm: workers that
# submitit starts, without a Slurm
slurm:
	bash .ci/integration slurm slurm tests/integrations/test_slurm.py \
		tests/integrations/test_slurm_options.py $(ARGS)

lightning:
	bash .ci/integration lightning lightning tests/integrations/test_lightning.py \
		tests/integrations/test_lightning_library.py $(ARGS)

# Hugging Face: transformers' Trainer, accelerate's loops, peft's LoRA
hf:
	bash .ci/integration hf hf,hub tests/integrations/test_transformers.py \
		tests/integrations/test_accelerate.py tests/integrations/test_peft.py $(ARGS)

trackers:
	bash .ci/integration trackers mlflow,tensorboard,wandb,trackio \
		tests/integrations/test_trackers.py $(ARGS)

# notebooks/*.ipynb from their sources, and run, with outputs, in notebooks/executed;
# ARGS='mnist --set QUICK=False' for one of them
notebooks:
	$(PYTHON) notebooks/render.py --execute $(ARGS)

bench:
	$(PYTHON) benchmarks/bench_store.py
	$(PYTHON) benchmarks/bench_stores.py --repeats 2
	$(PYTHON) benchmarks/bench_simulation.py
	$(PYTHON) benchmarks/bench_simulation.py --executor workers
	$(PYTHON) benchmarks/bench_attach.py
	$(PYTHON) benchmarks/bench_scores.py
	$(PYTHON) benchmarks/bench_moving.py
	$(PYTHON) benchmarks/bench_track.py
	$(PYTHON) benchmarks/bench_epoch.py
	$(PYTHON) benchmarks/bench_rules.py
	$(PYTHON) benchmarks/bench_bf16.py
	$(PYTHON) benchmarks/bench_nets.py
	$(PYTHON) benchmarks/bench_batched.py
	$(PYTHON) benchmarks/bench_select.py
	$(PYTHON) benchmarks/bench_scaling.py
	$(PYTHON) benchmarks/bench_two_four.py
	$(BIN)lottery run lenet-mnist --set replicates=1
	$(PYTHON) benchmarks/bench_sparsity.py
	$(PYTHON) benchmarks/bench_imp.py

# all that wants a GPU, in ten minutes; without one a dry run
gpu:
	$(PYTHON) benchmarks/gpu.py

# what is generated: pages from docstrings, tables from committed measurements
docs: api
	$(PYTHON) docs/results/render.py
	$(PYTHON) docs/results/speed.py
	$(PYTHON) docs/results/ship.py
	$(PYTHON) docs/results/lightning.py
	$(PYTHON) docs/results/stability.py
	$(PYTHON) docs/results/alignment.py
	$(PYTHON) docs/results/how_it_works.py --render
	$(PYTHON) docs/results/verdict.py --render
	$(PYTHON) docs/results/staged.py --render
	$(PYTHON) docs/results/reproductions.py

api:
	$(PYTHON) docs/api/render.py
