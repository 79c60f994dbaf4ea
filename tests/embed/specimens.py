"""Files of each family, as the libraries that people use write them, made reproducible the documented way."""

from __future__ import annotations

import io

from reprokit.embed import Tag

HASH = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
TAG = Tag("1a2b3c4", HASH)
OTHER = Tag("7f3a9c1-dirty-9f86d08", HASH[::-1])


def _figure():
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "reprokit"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([1, 3, 2])
    return figure


def png():
    out = io.BytesIO()
    _figure().savefig(out, format="png", metadata={"Software": None, "Author": "Ada"})
    return out.getvalue()


def svg():
    out = io.BytesIO()
    _figure().savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def pdf():
    out = io.BytesIO()
    _figure().savefig(out, format="pdf", metadata={"CreationDate": None, "Author": "Ada"})
    return out.getvalue()


def jpeg():
    from PIL import Image

    image = Image.radial_gradient("L").resize((40, 30))
    exif = Image.Exif()
    exif[0x010E] = "made in a test"
    out = io.BytesIO()
    image.save(out, "jpeg", exif=exif, icc_profile=b"colours" * 40, comment=b"the user's own")
    return out.getvalue()


def npz():
    import numpy as np

    out = io.BytesIO()
    np.savez(out, a=np.arange(12).reshape(3, 4), b=np.linspace(0, 1, 5))
    return out.getvalue()


def hdf5(**options):
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w", **options) as file:
        data = file.create_group("g", track_order=False).create_dataset("x", data=[[1.5, 2], [3, 4]], track_times=False)
        data.attrs["unit"] = "m"
        file.attrs["title"] = "ours"
    return out.getvalue()


def parquet():
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"x": [1, 2, None], "name": ["a", "b", "c"]}).replace_schema_metadata({"note": "mine"})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2)
    return out.getvalue()


FAMILIES = {"png": png, "jpeg": jpeg, "svg": svg, "pdf": pdf, "npz": npz, "hdf5": hdf5, "parquet": parquet}
