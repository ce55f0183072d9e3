"""How long a plan takes before it runs: here, and on many workers that share a store."""
