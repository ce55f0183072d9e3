"""Damaged, odd and hostile files against every reader of the library: `make fuzz`.

- `mutations.py`: what can be done to any bytes, and to JSON;
- `formats.py`: what can be done inside a format that stays whole (safetensors, zip, pickle, …);
- `bombs.py`: small files that claim much, and some that hold code;
- `reader.py`: what is known of a reader; `of_*.py`: the readers; `tables.py`: all of them;
- `cases.py`: one case, made from its number and judged;
- `runner.py`: many cases, in processes that may hang or die.
"""
