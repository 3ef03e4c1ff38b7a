"""What is heard of a run while it is under way: steps, and stages where there are none."""

from .steps import Step

__all__ = ["Step"]
