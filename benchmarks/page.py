"""The page of the denoising benchmark, made from its JSON: nothing on it is written by hand.

    python benchmarks/page.py benchmarks/results/denoising.json docs/benchmarks.md

Beside the page two plots are made, if matplotlib is installed: the PSNR of every image, and the mean PSNR of every
method over its seconds. For ``docs/`` they go to ``docs/images/``.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import machine
import numpy as np
from others import BM3D, BM3D_PSD

REFERENCES = (BM3D, "anscombe + nlm", "anscombe + tv")
"""What every method is compared with; where the noise is correlated, also BM3D that knows its spectrum."""

NOT_COMPARED = ("noisy",)

ORIGIN = (
    "This page is made by `benchmarks/page.py` from what `{}` has measured: nothing on it is written by hand. "
    "[What they mean, and what was tried](denoising.md)."
)
MEANING = (
    "Seconds are those of the computation, the estimate of the noise included, without the start of the program; "
    "processor seconds are those of all threads together. In a column “against …”, the difference of the PSNR (dB) is "
    "followed by the time in units of the other's: mean of the differences, and median of the quotients, over the "
    "images that both have restored."
)
SPECTRUM = (
    "BM3D with PSD knows the power spectrum of the noise: that of white noise after a Gaussian blur, by the "
    "correlation of neighbouring pixels that was estimated from the image."
)
EXTRAPOLATED = "The published deep image prior takes too long to run: its seconds are those of a step, times its steps."

WIDTH = 120
"""Characters in a line of text; a table has a line for every row."""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="what benchmarks/denoising.py has written")
    parser.add_argument("page", type=Path, help="the page to write, such as docs/benchmarks.md")
    options = parser.parse_args()
    write(options.json, options.page)


def write(source: Path, target: Path) -> None:
    """Write the page and its plots."""
    found = json.loads(source.read_text(encoding="utf-8"))
    folder = target.parent / "images" if (target.parent / "images").is_dir() else target.parent
    plots = _plots(found, folder / target.stem)
    links = [f"![{words}]({plot.relative_to(target.parent).as_posix()})\n" for plot, words in plots.items()]
    target.write_text("\n".join([text(found), *links]), encoding="utf-8")


def text(found: dict) -> str:
    """Return the page without its plots."""
    rows = found["rows"]
    correlated = [row["image"] for row in rows if row["method"] == BM3D_PSD]
    others = [row for row in rows if row["image"] not in correlated]
    origin = ORIGIN.format(found["command"])
    parts = ["# Denoising: quality and time", origin, machine.in_words(found["machine"]), MEANING]
    if others:
        parts += ["## Noise that is independent from pixel to pixel", *_summary(others, found, REFERENCES)]
    if correlated:
        known = [row for row in rows if row["image"] in correlated]
        parts += ["## Correlated noise", SPECTRUM, *_summary(known, found, (BM3D_PSD, *REFERENCES))]
    parts += ["## Every image", "PSNR in dB (SSIM; seconds).", _every_image(rows)]
    if any(row["extrapolated"] for row in rows):
        parts.append(EXTRAPOLATED)
    return "\n\n".join(map(_wrapped, parts)) + "\n"


def compared(rows: Sequence[dict], method: str, reference: str) -> tuple[float, float, float]:
    """Return how a method compares with another one on the images that both have restored.

    Returns
    -------
    difference : float
        Mean of the differences of the PSNR (dB); NaN where one of them was not run to its end.
    quotient : float
        Median of its time in units of the other's.
    images : int
    """
    ours, theirs = ({row["image"]: row for row in rows if row["method"] == name} for name in (method, reference))
    pairs = [(row, theirs[image]) for image, row in ours.items() if image in theirs]
    if not pairs:
        return np.nan, np.nan, 0
    done = not any(row["extrapolated"] for pair in pairs for row in pair)
    difference = float(np.mean([one["psnr"] - other["psnr"] for one, other in pairs])) if done else np.nan
    return difference, float(np.median([one["seconds"] / other["seconds"] for one, other in pairs])), len(pairs)


def common_images(rows: Sequence[dict]) -> list[str]:
    """Return the images that every method has restored, but for methods that have restored less than half of them.

    Only over the same images means can be compared.
    """
    images = dict.fromkeys(row["image"] for row in rows)
    of_method = {
        method: {row["image"] for row in rows if row["method"] == method}
        for method in dict.fromkeys(row["method"] for row in rows)
    }
    usual = [restored for restored in of_method.values() if 2 * len(restored) > len(images)]
    return [image for image in images if all(image in restored for restored in usual)]


def _summary(rows: Sequence[dict], found: dict, references: Sequence[str]) -> tuple[str, str]:
    """Return of how many images, and a table of the means of every method, and how it compares with each reference."""
    common = common_images(rows)
    present = [name for name in references if any(row["method"] == name for row in rows)]
    table = [
        ["method", "PSNR", "SSIM", "median seconds", "processor seconds", *(f"against {name}" for name in present)]
    ]
    for method in dict.fromkeys(row["method"] for row in rows):
        these = [row for row in rows if row["method"] == method and row["image"] in common]
        name = f"**{method}**" if method in found["ours"] else method
        means = _means(these) if these and len(these) == len(common) else ["–"] * 4
        comparisons = [_comparison(compared(rows, method, other), method, other) for other in present]
        table.append([name, *means, *comparisons])
    return ("One image." if len(common) == 1 else f"Means over {len(common)} images."), _table(table)


def _means(rows: Sequence[dict]) -> list[str]:
    """Return of a method the mean PSNR and SSIM, and the medians of its seconds."""
    quality = [f"{np.mean([row['psnr'] for row in rows]):.2f}", f"{np.mean([row['ssim'] for row in rows]):.3f}"]
    times = [_seconds(np.median([row[key] for row in rows])) for key in ("seconds", "processor seconds")]
    if rows[0]["extrapolated"]:
        quality = ["–"] * 2
    return [*quality, *(["–"] * 2 if rows[0]["method"] in NOT_COMPARED else times)]


def _comparison(found: tuple[float, float, float], method: str, reference: str) -> str:
    difference, quotient, images = found
    if method == reference or method in NOT_COMPARED or not images:
        return "–"
    quality = "" if np.isnan(difference) else f"{difference:+.2f} dB, ".replace("-", "−")
    return f"{quality}× {quotient:.2g}" if quotient < 100 else f"{quality}× {quotient:.0f}"


def _wrapped(part: str) -> str:
    """Return a paragraph in lines of at most ``WIDTH`` characters; tables and headings as they are."""
    if part.startswith(("|", "#")):
        return part
    return textwrap.fill(part, WIDTH, break_long_words=False, break_on_hyphens=False)


def _every_image(rows: Sequence[dict]) -> str:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = [["image", "pixels", *methods]]
    for image in dict.fromkeys(row["image"] for row in rows):
        these = {row["method"]: row for row in rows if row["image"] == image}
        shape = next(iter(these.values()))["shape"]
        cells = [_one(these[method]) if method in these else "–" for method in methods]
        table.append([Path(image).stem, " × ".join(map(str, shape[:2])), *cells])
    return _table(table)


def _one(row: dict) -> str:
    seconds = "" if row["method"] in NOT_COMPARED else f"; {_seconds(row['seconds'])}"
    return f"–{seconds}" if row["extrapolated"] else f"{row['psnr']:.2f} ({row['ssim']:.3f}{seconds})"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _plots(found: dict, stem: Path) -> dict[Path, str]:
    """Draw both plots; return their files, and what is to be seen on each."""
    try:
        from matplotlib import pyplot
    except ImportError:
        print("no plots: matplotlib is not installed")
        return {}
    pyplot.switch_backend("agg")
    rows = [row for row in found["rows"] if not row["extrapolated"]]
    plots = {
        stem.with_name(f"{stem.name}-time.png"): (_time_plot, "Mean PSNR of every method over its median seconds"),
        stem.with_name(f"{stem.name}-images.png"): (_image_plot, "PSNR of every method on every image"),
    }
    for file, (draw, _) in plots.items():
        figure = draw(pyplot, rows, found["ours"])
        figure.savefig(file, dpi=110, bbox_inches="tight")
        pyplot.close(figure)
    return {file: words for file, (_, words) in plots.items()}


def _time_plot(pyplot, rows: Sequence[dict], ours: Sequence[str]):
    """Draw quality over time, where the noise is not correlated; the efforts of ``auto`` are joined by a line."""
    from matplotlib.ticker import LogLocator, NullFormatter

    correlated = [row["image"] for row in rows if row["method"] == BM3D_PSD]
    rows = [row for row in rows if row["method"] not in NOT_COMPARED and row["image"] not in correlated]
    common = common_images(rows)
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    places = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        these = [row for row in rows if row["method"] == method and row["image"] in common]
        if these and len(these) == len(common):
            places[method] = np.median([row["seconds"] for row in these]), np.mean([row["psnr"] for row in these])
    efforts = [places[method] for method in ours if method in places and "/" not in method]
    axes.plot(*zip(*efforts, strict=True), color="C0", linewidth=1) if efforts else None
    for method, (seconds, psnr) in places.items():
        axes.scatter([seconds], [psnr], color="C0" if method in ours else "0.5", zorder=3)
        axes.annotate(method, (seconds, psnr), textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"median seconds of {len(common)} images")
    axes.set_ylabel("mean PSNR (dB)")
    axes.grid(alpha=0.3)
    return figure


def _image_plot(pyplot, rows: Sequence[dict], ours: Sequence[str]):
    images = list(dict.fromkeys(row["image"] for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 0.6 + 0.35 * len(images)))
    for method in dict.fromkeys(row["method"] for row in rows):
        these = [row for row in rows if row["method"] == method]
        strong = {"s": 60} if method in ours else {"s": 18, "alpha": 0.7}
        places = [images.index(row["image"]) for row in these]
        axes.scatter([row["psnr"] for row in these], places, label=method, **strong)
    axes.set_yticks(range(len(images)), [Path(image).stem for image in images])
    axes.set_xlabel("PSNR (dB)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


if __name__ == "__main__":
    main()
