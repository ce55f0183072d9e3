"""README's table and figure, made from the committed tables.

python docs/results/render.py            # write them
python docs/results/render.py --check    # exit 1 if the README says anything else
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd

from lottery_ticket.analysis import as_table, metric_of, summary, summary_markdown
from lottery_ticket.plots import draw_summary_figure

HERE = Path(__file__).parent
README = HERE.parent.parent / "README.md"
LEVELS = [0, 5, 10, 13, 15, 18, 20]


def read_table(name: str) -> pd.DataFrame:
    """A committed table: the output of `lottery table RUN --format csv`."""
    rows = pd.read_csv(HERE / f"{name}.csv").astype(object)
    return as_table(rows.where(rows.notna(), None).to_dict("records"))


def how(name: str) -> str:
    """How a committed table was made, in a sentence or two."""
    about = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return (
        f"Command: `{about['command']}`, n = {about['replicates'].replace(', their', ',')}: "
        f"{about['trainings'].split()[0]} trainings; {about['time']}, on cores shared with other "
        f"work; {about['machine']}; {about['versions']}."
    )


def section(name: str) -> str:
    """The Markdown between the README's markers."""
    table = read_table(name)
    chosen = summary(table).query("level in @LEVELS")
    lines = [summary_markdown(chosen, metric_of(table)), how(name)]
    return "\n".join(lines)


def rendered(text: str, name: str) -> str:
    """The README with its section made anew."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    pattern = re.escape(start) + ".*?" + re.escape(end)
    found = re.sub(pattern, lambda _: f"{start}{section(name)}\n{end}", text, flags=re.S)
    if start not in text:
        raise SystemExit(f"README.md: no marker {start.strip()}")
    return found


def main() -> None:
    """Write README's section and figure, or check them."""
    name = "lenet-mnist"
    before = README.read_text(encoding="utf-8")
    after = rendered(before, name)
    if "--check" in sys.argv:
        if before != after:
            raise SystemExit("README.md is not what docs/results says: run docs/results/render.py")
        return
    README.write_text(after, encoding="utf-8")
    draw_summary_figure(read_table(name), HERE / f"{name}.png", title=name)


if __name__ == "__main__":
    main()
