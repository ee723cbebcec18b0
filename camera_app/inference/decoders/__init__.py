"""From output tensors to what was found, one module a family. Pure; coordinates are the input's."""

from camera_app.inference.decoders.blazeface import BlazefaceDecoder
from camera_app.inference.decoders.classifier import Classification, ClassifierDecoder
from camera_app.inference.decoders.embedding import EmbeddingDecoder
from camera_app.inference.decoders.nms import keep_best
from camera_app.inference.decoders.ssd_anchors import SsdAnchorsDecoder
from camera_app.inference.decoders.ssd_postprocess import SsdPostprocessDecoder
from camera_app.inference.decoders.tensors import Found, listing
from camera_app.inference.decoders.ulfg import UlfgDecoder
from camera_app.inference.decoders.yolox import YoloxDecoder

__all__ = [
    "BlazefaceDecoder",
    "Classification",
    "ClassifierDecoder",
    "EmbeddingDecoder",
    "Found",
    "SsdAnchorsDecoder",
    "SsdPostprocessDecoder",
    "UlfgDecoder",
    "YoloxDecoder",
    "keep_best",
    "listing",
]
