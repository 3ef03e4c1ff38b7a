"""Remove the blocks and rings of JPEG compression from Python: what the file tells, or the image itself, is enough."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from skimage.data import astronaut

from napari_deep_prior import RemoveArtifacts, restore
from napari_deep_prior.arrays import metrics
from napari_deep_prior.files.jpeg import read_tables

truth = astronaut()[:192, 128:320]
with TemporaryDirectory() as folder:
    file = Path(folder) / "astronaut.jpg"
    Image.fromarray(truth).save(file, quality=10)
    compressed, tables = np.asarray(Image.open(file)), read_tables(file)

restored = restore(compressed, RemoveArtifacts(), jpeg=tables).finish()
# Without the file: an image as it was decoded, whole and unchanged, tells how coarsely it was rounded.
blind = restore(compressed, RemoveArtifacts())
same = np.array_equal(blind.finish(), restored)

for name, image in (("JPEG", compressed), ("restored", restored)):
    print(f"{name:9} PSNR {metrics.psnr(image, truth):.2f} dB, SSIM {metrics.ssim(image, truth, channel_axis=-1):.4f}")
print(f"{blind.record.remarks[-1]}: {'the same result' if same else 'another result'}")
