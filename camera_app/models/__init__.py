"""Model packs: what a network is, where its weights are, and whether they are the right ones.

A pack is a folder with `manifest.toml`, its signature, and what belongs to it. Nothing in this
room runs a network; that begins in `camera_app.inference`.
"""

from camera_app.models.catalog import (
    cache_folder,
    catalogue_folder,
    catalogue_names,
    find_pack,
    is_in_catalogue,
    list_packs,
    locate_weights,
)
from camera_app.models.fetch import Terms, fetch
from camera_app.models.inspect import WeightsKind, kind_of, sha256_of, verify_weights
from camera_app.models.known_answers import (
    INPUTS,
    KnownAnswer,
    KnownAnswers,
    KnownDetection,
    KnownOutput,
)
from camera_app.models.ladder import find_ladder
from camera_app.models.onnx_file import NotOnnx, Scaling, scalings
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
    read_side_file,
)
from camera_app.models.signature import (
    SIGNING_KEY_VARIABLE,
    TRUSTED_VARIABLE,
    PrivateKey,
    TrustedKey,
    new_private_key,
    read_private_key,
    trusted_keys,
)
from camera_app.models.signing import sign_pack
from camera_app.models.together import ModelSet, find_models, model_set

__all__ = [
    "INPUTS",
    "SIGNING_KEY_VARIABLE",
    "TRUSTED_VARIABLE",
    "BlazefaceDecode",
    "ClassifierDecode",
    "Colour",
    "DeclaredTensor",
    "EmbeddingDecode",
    "Fit",
    "InputGeometry",
    "KnownAnswer",
    "KnownAnswers",
    "KnownDetection",
    "KnownOutput",
    "ModelPack",
    "ModelSet",
    "NotOnnx",
    "PrivateKey",
    "Scaling",
    "SsdAnchorsDecode",
    "SsdPostprocessDecode",
    "Task",
    "Terms",
    "TrustedKey",
    "UlfgDecode",
    "UnusedDecode",
    "WeightsKind",
    "YoloxDecode",
    "cache_folder",
    "catalogue_folder",
    "catalogue_names",
    "fetch",
    "find_ladder",
    "find_models",
    "find_pack",
    "is_in_catalogue",
    "kind_of",
    "list_packs",
    "locate_weights",
    "model_set",
    "new_private_key",
    "read_pack",
    "read_private_key",
    "read_side_file",
    "scalings",
    "sha256_of",
    "sign_pack",
    "trusted_keys",
    "verify_weights",
]
