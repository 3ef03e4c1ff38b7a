"""The command ``deep-prior``, also as ``python -m napari_deep_prior``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return its exit code; loading PyTorch takes seconds, and Ctrl-C is heard there too."""
    try:
        from .cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("deep-prior: stopped; nothing was written\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
