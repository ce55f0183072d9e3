"""Workers that are killed, stopped and cut off, against a server that fails: `make chaos`.

- `runs.py`: what is made in each round, and what it has to become;
- `crew.py`: the workers, as processes;
- `ledger.py`: what they wrote, as the server took it;
- `disturbances.py`: what is done to them, and when;
- `laws.py`: what must hold at the end;
- `rounds.py`: one round, made from its number and judged; `ray_rounds.py`: one over Ray.
"""
