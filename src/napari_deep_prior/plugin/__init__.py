"""The napari plugin: the only folder that imports napari, Qt or magicgui."""

from __future__ import annotations

# On Windows PyTorch must be loaded before anything else of the plugin pulls in more libraries; where Qt was loaded
# first, its loader can fail with error 1114 (pytorch/pytorch#166628). This goes when PyTorch's wheels load after Qt.
try:
    import torch  # noqa: F401
except OSError as error:
    raise ImportError(
        f'PyTorch could not be loaded after Qt ({error}). Start napari with: python -c "import torch, napari; '
        'napari.Viewer(); napari.run()", or install the newest Microsoft Visual C++ redistributable.'
    ) from error
