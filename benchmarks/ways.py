"""How the benchmarks name a way to restore: an effort ("fast"), or a method and an effort ("nl-ridge/balanced")."""

from __future__ import annotations

HELP = "comma separated: an effort (fast, balanced, best), or method/effort such as deep-image-prior/balanced"


def way(text: str) -> dict[str, str]:
    """Return the keywords of ``restore`` for a way."""
    method, _, effort = text.rpartition("/")
    return {"method": method or "auto", "effort": effort}
