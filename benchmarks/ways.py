"""How the benchmarks name a way to restore: an effort ("fast"), or a method and an effort ("nl-ridge/balanced")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HELP = "comma separated: an effort (fast, balanced, best), or method/effort such as deep-image-prior/balanced"


def without_model(methods: Mapping[str, Any]) -> dict[str, Any]:
    """Return methods by name, without the one that needs a trained network: ``training.py`` measures that."""
    return {name: efforts for name, efforts in methods.items() if name != "trained-network"}


def way(text: str) -> dict[str, str]:
    """Return the keywords of ``restore`` for a way."""
    method, _, effort = text.rpartition("/")
    return {"method": method or "auto", "effort": effort}
