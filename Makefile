# `make demo`  denoise the sample in the real viewer; pictures and image in demo/
# `make test`  style, types, imports, manifest, tests
# `make bench` this package beside other denoisers (hours; benchmarks/page.py makes docs/benchmarks.md of it), `make bench-quick` on four images, in two minutes
# `make bench-gpu` the time of a step and of whole runs on a GPU
# Each does its own set-up, in .venv; nothing outside of this folder is changed but missing apt packages (as root).

PYTHON ?= python3
BIN := .venv/bin
# A person with a display sees the window of the demo; tests always get a screen of their own where there is Xvfb.
VIRTUAL := $(shell command -v xvfb-run >/dev/null 2>&1 || [ "$$(uname -s)" = Linux ] && echo 'xvfb-run --auto-servernum --server-args="-screen 0 1600x1000x24"')
# PYTEST_OPTIONS= runs the tests in one process; "PYTEST_OPTIONS=-k masks" runs some of them.
PYTEST_OPTIONS ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile
DEMO_SCREEN := $(if $(DISPLAY)$(WAYLAND_DISPLAY),,$(VIRTUAL))

.PHONY: install demo test lint bench bench-quick bench-gpu clean

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt tools/system-libraries.sh
	tools/system-libraries.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,cluster,zarr]' --group dev
	touch $@

demo: install
	$(DEMO_SCREEN) $(BIN)/python examples/demo.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/npe2 validate napari-deep-prior

test: lint
	$(VIRTUAL) $(BIN)/python -m pytest $(PYTEST_OPTIONS)

# BM3D's licence forbids more than this: the package never depends on it.
bench: install
	$(BIN)/python -m pip install --quiet bm3d matplotlib
	$(BIN)/python benchmarks/denoising.py

bench-quick: install
	$(BIN)/python -m pip install --quiet bm3d matplotlib
	$(BIN)/python benchmarks/denoising.py --quick

# Needs nothing but this folder; ends with exit code 1 where there is no GPU.
bench-gpu: install
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf .venv demo dist .hypothesis .mypy_cache .ruff_cache .pytest_cache
