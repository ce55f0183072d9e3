"""Fixtures of the engine's tests."""

from tiny_runs import tiny as tiny
