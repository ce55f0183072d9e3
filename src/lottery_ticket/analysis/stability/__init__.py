"""From which step on nets are stable, by the barriers between copies of them."""
