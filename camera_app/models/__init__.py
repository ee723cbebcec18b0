"""Model packs: what a network is, where its weights are, and whether they are the right ones.

A pack is a folder with `manifest.toml` and what belongs to it. Nothing in this room runs a
network; that begins in `camera_app.inference`.
"""

from camera_app.models.catalog import (
    cache_folder,
    catalogue_folder,
    find_pack,
    is_in_catalogue,
    list_packs,
    locate_weights,
)
from camera_app.models.fetch import fetch
from camera_app.models.inspect import sha256_of, verify_weights
from camera_app.models.pack import (
    BlazefaceDecode,
    ClassifierDecode,
    Colour,
    DeclaredTensor,
    EmbeddingDecode,
    Fit,
    InputGeometry,
    ModelPack,
    SsdAnchorsDecode,
    SsdPostprocessDecode,
    Task,
    UlfgDecode,
    UnusedDecode,
    YoloxDecode,
    read_pack,
)

__all__ = [
    "BlazefaceDecode",
    "ClassifierDecode",
    "Colour",
    "DeclaredTensor",
    "EmbeddingDecode",
    "Fit",
    "InputGeometry",
    "ModelPack",
    "SsdAnchorsDecode",
    "SsdPostprocessDecode",
    "Task",
    "UlfgDecode",
    "UnusedDecode",
    "YoloxDecode",
    "cache_folder",
    "catalogue_folder",
    "fetch",
    "find_pack",
    "is_in_catalogue",
    "list_packs",
    "locate_weights",
    "read_pack",
    "sha256_of",
    "verify_weights",
]
