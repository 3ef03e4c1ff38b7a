"""What a command can write besides its result, and which run has it to give."""

from __future__ import annotations

import argparse

from ..files.model_files import write_model
from ..methods import SelfDistillation
from ..methods.shared_time import is_shared
from ..runs.forecast import Forecast
from ..runs.restoration import Restoration
from ..runs.setup import Setup
from ..settings import flat_fields
from ..tasks import Denoise, Task


def add_save_model(parser: argparse.ArgumentParser, kind: type[Task]) -> None:
    """Add the option for the network of a stack, where a task trains one."""
    parser.set_defaults(save_model=None)
    if kind is Denoise:
        parser.add_argument_group("network of a stack").add_argument(
            "--save-model", metavar="FILE", help="write the network of all slices, for --model (.safetensors)"
        )


def refuse_by_products(setup: Setup, plan: Forecast, options: argparse.Namespace) -> None:
    """Raise a ValueError if something is to be written that the run will not have."""
    method = plan.choice.method
    if options.uncertainty is not None:
        if plan.choice.guided is not None:
            raise ValueError("with a guide there is no uncertainty to write: leave out --uncertainty")
        if max((each.default for each in flat_fields(method) if each.name == "members"), default=1) < 2:
            raise ValueError(
                "there is no uncertainty to write: choose a method with --members, and two or more of them"
            )
    if options.save_model is None:
        return
    if not isinstance(method, SelfDistillation) or plan.choice.guided is not None or plan.choice.unchanged:
        raise ValueError(
            f"there is no network to write: the image is restored by {method.in_words()!r}"
            + (" with a guide" if plan.choice.guided is not None else "")
            + ": leave out --save-model, or choose --method self-distillation"
        )
    if setup.source.separate_channels:
        raise ValueError("every channel has a network of its own: leave out --save-model, or --separate-channels")
    if not is_shared(method, len(setup.pieces), planes="Z" not in setup.source.piece_axes):
        raise ValueError(
            "there is no network to write: only of a stack that is restored plane by plane, without --no-shared and "
            "with one member, all slices have the same one. Leave out --save-model, or train a network with "
            "'deep-prior train'"
        )


def save_model(run: Restoration, options: argparse.Namespace) -> str:
    """Write the network of all slices, where it was asked for; return a sentence on it, empty if it was not."""
    if options.save_model is None:
        return ""
    model = run.model
    if model is None:
        return f"{options.save_model}: not written, since no network was trained to its end"
    write_model(options.save_model, model)
    return f"{options.save_model}: the network of all slices, {model.weight_count} weights"
