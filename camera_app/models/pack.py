"""What a model pack says: its manifest, checked and frozen.

The manifest is TOML beside the weights (or in the catalogue, without them). Everything that
tells one network of a known family from another stands in it, so that a new model of such a
family needs a manifest and no code. It is signed, and has the hashes of all other files: nothing
of a pack is used before they were checked. Finding, hashing and downloading weights is not done
here.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from camera_app.errors import PackRejected
from camera_app.models.known_answers import KnownAnswers, parse_known_answers
from camera_app.models.signature import check_signature, trusted_keys
from camera_app.values import Size

MANIFEST = "manifest.toml"

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
FILE_PATH_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
FilePath = Annotated[str, Field(pattern=FILE_PATH_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Pixel = Annotated[int, Field(ge=0, le=255)]
Side = Annotated[int, Field(ge=1, le=8192)]


class Task(StrEnum):
    """What a network is for."""

    DETECTION = "detection"
    CLASSIFICATION = "classification"
    EMBEDDING = "embedding"
    POSE = "pose"
    SEGMENTATION = "segmentation"
    NONE = "none"


class Fit(StrEnum):
    """How a picture is brought to the input's size."""

    STRETCH = "stretch"
    LETTERBOX_TOP_LEFT = "letterbox_top_left"
    LETTERBOX_CENTRE = "letterbox_centre"


class Colour(StrEnum):
    """The channels of the input, in order."""

    RGB = "rgb"
    BGR = "bgr"
    GREY = "grey"

    @property
    def channels(self) -> int:
        return 1 if self is Colour.GREY else 3


class Table(BaseModel):
    """A table of the manifest: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalisation(Table):
    """What a byte means to the network: (byte - mean) / divisor."""

    mean: float
    divisor: Annotated[float, Field(gt=0.0)]


class InputGeometry(Table):
    """How the picture becomes the input tensor.

    Attributes:
        width: Of the input, pixels.
        height: Of the input, pixels.
        fit: Stretched, or letterboxed with the picture in a corner or in the middle.
        colour: The channels.
        pad: Byte that fills what a letterbox leaves free, before normalisation.
        normalise: What a byte means. A float input needs it; without it, a uint8 input gets
            bytes unchanged and an int8 input bytes minus 128.
        layout: Channels last, as TensorFlow Lite has them, or first, as most ONNX files do.
    """

    width: Side
    height: Side
    fit: Fit = Fit.STRETCH
    colour: Colour = Colour.RGB
    pad: Pixel = 0
    normalise: Normalisation | None = None
    layout: Literal["nhwc", "nchw"] = "nhwc"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the input tensor."""
        if self.layout == "nchw":
            return (1, self.colour.channels, self.height, self.width)
        return (1, self.height, self.width, self.colour.channels)

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


class NamedOutputs(Table):
    """A family whose outputs differ in shape.

    Attributes:
        outputs: Name of an output by its role, for a file in which two have the same shape.
    """

    outputs: dict[str, str] = {}


class YoloxDecode(NamedOutputs):
    """Anchor-free grids: boxes relative to the cell, scores = objectness x class."""

    family: Literal["yolox"]
    strides: Annotated[tuple[Side, ...], Field(min_length=1)] = (8, 16, 32)
    nms_iou: Share = 0.65


class SsdPostprocessDecode(Table):
    """SSD whose file ends in the TFLite_Detection_PostProcess operator.

    The four output names say which tensor is which; the defaults are those that the TensorFlow 1
    exporter gives.
    """

    family: Literal["ssd_postprocess"]
    boxes: str = "TFLite_Detection_PostProcess"
    classes: str = "TFLite_Detection_PostProcess:1"
    scores: str = "TFLite_Detection_PostProcess:2"
    count: str = "TFLite_Detection_PostProcess:3"


class SsdAnchorsDecode(NamedOutputs):
    """SSD heads without the operator: encodings relative to anchors, a score column a class.

    Attributes:
        anchors: File in the pack: a line a row, `centre y, centre x, height, width`, shares of
            the input.
        centre_scale: What centre encodings are divided by.
        size_scale: What size encodings are divided by, before the exponential.
        has_background: Column 0 of the scores is no class.
        nms_iou: For boxes of one class.
        max_detections: How many are kept.
    """

    family: Literal["ssd_anchors"]
    anchors: FileName
    centre_scale: Positive = 10.0
    size_scale: Positive = 5.0
    has_background: bool = True
    nms_iou: Share = 0.6
    max_detections: Annotated[int, Field(ge=1)] = 100


class PriorLayer(Table):
    """One feature layer of priors: a cell each `stride` pixels, a prior a side in every cell.

    Attributes:
        stride: Pixels of the input.
        sides: Width and height of each prior, pixels of the input.
    """

    stride: Side
    sides: Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)]


class UlfgDecode(NamedOutputs):
    """Light face detectors with SSD priors; landmarks where the file has them.

    Attributes:
        layers: The priors, in the order of the rows.
        clip: Priors are clipped to the input.
        centre_variance: Factor of centre and landmark offsets.
        size_variance: Factor of size offsets, before the exponential.
        scores: Whether the softmax is still to be done.
        points: Landmarks a face; 0 if the file has none.
        nms_iou: For overlapping faces.
    """

    family: Literal["ulfg"]
    layers: Annotated[tuple[PriorLayer, ...], Field(min_length=1)]
    clip: bool = True
    centre_variance: Positive = 0.1
    size_variance: Positive = 0.2
    scores: Literal["probabilities", "logits"] = "probabilities"
    points: Annotated[int, Field(ge=0)] = 0
    nms_iou: Share = 0.4


class CellLayer(Table):
    """One feature layer of BlazeFace: `cells` by `cells`, each with `anchors` alike."""

    cells: Side
    anchors: Side


class BlazefaceDecode(NamedOutputs):
    """BlazeFace: anchors without size, boxes and landmarks in input pixels."""

    family: Literal["blazeface"]
    layers: Annotated[tuple[CellLayer, ...], Field(min_length=1)]
    points: Annotated[int, Field(ge=0)] = 6
    nms_iou: Share = 0.3


class ClassifierDecode(Table):
    """One score a label."""

    family: Literal["classifier"]


class EmbeddingDecode(NamedOutputs):
    """A vector that tells one face from another.

    Attributes:
        width: Length of the vector.
        targets: Where left eye, right eye, nose, left and right mouth corner (as seen) come to
            lie in the input, pixels.
    """

    family: Literal["embedding"]
    width: Annotated[int, Field(ge=2)]
    targets: Annotated[tuple[tuple[float, float], ...], Field(min_length=5, max_length=5)]


class UnusedDecode(Table):
    """A family that is known by name, for which this program has no use yet."""

    family: Literal["movenet", "class_map", "recurrent_ssd", "test_graph"]


Decode = (
    YoloxDecode
    | SsdPostprocessDecode
    | SsdAnchorsDecode
    | UlfgDecode
    | BlazefaceDecode
    | ClassifierDecode
    | EmbeddingDecode
    | UnusedDecode
)


class DeclaredTensor(Table):
    """A tensor as the manifest declares it; an empty shape is known only after a run."""

    name: str
    shape: tuple[int, ...] = ()
    dtype: Literal["uint8", "int8", "int16", "int32", "int64", "float32"]


class Tensors(Table):
    """The signature of the file; where it is given, the file must have exactly these."""

    inputs: tuple[DeclaredTensor, ...] = ()
    outputs: tuple[DeclaredTensor, ...] = ()


class Weights(Table):
    """A file with the network.

    Attributes:
        file: Its name.
        sha256: What it must hash to; empty only for what is `unpinned`.
        size_bytes: How long it is; 0 where that is not known.
        limit_bytes: A download is broken off beyond it; for a file of unknown length.
        url: Where it can be downloaded unmodified; empty if nowhere.
        unpinned: Its hash is not known for sure. It is downloaded only if the owner takes it as it
            comes, and its hash is recorded then and checked ever after.
    """

    file: FileName
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    size_bytes: Annotated[int, Field(ge=1)] = 0
    limit_bytes: Annotated[int, Field(ge=1)] = 0
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    unpinned: bool = False

    @property
    def most_bytes(self) -> int:
        """The length that a download must not exceed."""
        return self.size_bytes or self.limit_bytes

    @model_validator(mode="after")
    def _is_pinned_or_says_so(self) -> Weights:
        if self.unpinned == bool(self.sha256):
            raise ValueError(
                "sha256 is left empty if, and only if, unpinned = true stands beside it"
            )
        if self.unpinned and not self.url:
            raise ValueError("unpinned weights need a url: there is nothing else to know them by")
        return self

    @model_validator(mode="after")
    def _is_bounded(self) -> Weights:
        if bool(self.size_bytes) == bool(self.limit_bytes):
            raise ValueError(
                "either size_bytes is needed, or limit_bytes where the length is not known"
            )
        return self


class Licence(Table):
    """Under what terms the weights may be used.

    Attributes:
        name: Of the licence, and where it is stated.
        allows_shipping: Whether the weights may be passed on.
        file: Its text in the pack; empty if it is not there.
    """

    name: str
    allows_shipping: bool
    file: FileName | Literal[""] = ""


class Card(Table):
    """What a person should know before using the network.

    Attributes:
        summary: What it finds, in a sentence or two.
        source: Where the weights come from: `owner/repository:path@commit`.
        derived: How they were changed since; empty if they were not.
        measured: Figures by data set.
    """

    summary: str
    source: str
    derived: str = ""
    measured: dict[str, str] = {}


class Training(Table):
    """How the weights came to be, for networks that were trained with this project's tools.

    Attributes:
        data: Data sets, with their licences.
        teacher: Pack that it was distilled from; empty if there was none.
        repeat: Command that makes the weights again.
        revision: Commit of the tools that made them.
    """

    data: tuple[str, ...] = ()
    teacher: str = ""
    repeat: str = ""
    revision: str = ""


class KnownAnswersTable(Table):
    """Where the known answers stand: what the network says to inputs that are known.

    Attributes:
        file: JSON in the pack.
    """

    file: FileName


class Manifest(Table):
    """The whole of `manifest.toml`.

    Attributes:
        weights: The file for the CPU.
        edgetpu: Its twin for the Edge TPU: the same network, compiled. What `tensors` declares
            holds for both files; an input or output whose names are not known is left out.
        smaller: Pack for the same classes that costs less and sees less, which may stand in under
            load: the next rung of the ladder. Empty if there is none.
        known_answers: What the network must say, and where it stands.
        files: SHA-256 of every other file of the pack, by its path in the folder; the manifest,
            its signature and the weights are not among them.
    """

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: FileName
    task: Task
    labels: tuple[str, ...] | FileName = ()
    smaller: FileName | Literal[""] = ""
    weights: Weights
    edgetpu: Weights | None = None
    input: InputGeometry
    decode: Annotated[Decode, Field(discriminator="family")]
    tensors: Tensors = Tensors()
    licence: Licence
    card: Card
    training: Training | None = None
    known_answers: KnownAnswersTable | None = None
    files: dict[FilePath, Sha256] = {}

    @model_validator(mode="after")
    def _task_fits_family(self) -> Manifest:
        expected = _TASK_OF_DECODE.get(type(self.decode))
        if expected is not None and self.task is not expected:
            raise ValueError(f"family {self.decode.family} is for task {expected.value!r}")
        return self

    @model_validator(mode="after")
    def _is_not_its_own_smaller(self) -> Manifest:
        if self.smaller == self.name:
            raise ValueError(f"smaller names the pack itself, {self.name!r}")
        return self

    @model_validator(mode="after")
    def _twins_share_tensors(self) -> Manifest:
        if self.edgetpu is None:
            return self
        if not (self.tensors.inputs or self.tensors.outputs):
            raise ValueError("a pack with [edgetpu] declares its [tensors], which hold for both")
        if self.edgetpu.file == self.weights.file:
            raise ValueError("weights and edgetpu need files of different names")
        return self


_TASK_OF_DECODE: dict[type[Table], Task] = {
    YoloxDecode: Task.DETECTION,
    SsdPostprocessDecode: Task.DETECTION,
    SsdAnchorsDecode: Task.DETECTION,
    UlfgDecode: Task.DETECTION,
    BlazefaceDecode: Task.DETECTION,
    ClassifierDecode: Task.CLASSIFICATION,
    EmbeddingDecode: Task.EMBEDDING,
}


@dataclass(frozen=True, slots=True, eq=False)
class ModelPack:
    """One network, as its manifest describes it.

    Attributes:
        name: Of the pack.
        folder: Where its manifest lies.
        task: What the network is for.
        weights: File name, hash, length and origin of the weights.
        input: How a picture becomes the input tensor.
        decode: The family and its parameters.
        labels: Class names by index.
        anchors: float32 (n, 4) as `centre y, centre x, height, width`, for families that keep
            them in a file; else None.
        tensors: The file's signature as declared; may be empty.
        licence: Terms.
        card: What a person should know.
        digest: SHA-256 of the manifest, and so of all the rest.
        edgetpu: As `weights`, of the twin for the Edge TPU; None if there is none.
        smaller: Name of the pack that may stand in for it under load; empty if there is none.
        training: How the weights came to be; None if that is not known.
        known_answers: What the network must say to known inputs; None: nobody wrote it down.
        files: SHA-256 of every other file by its path in the folder.
        signed_by: Name of the key that signed it.
        weights_path: The weights where the owner pointed at them; None: to be located.
    """

    name: str
    folder: Path
    task: Task
    weights: Weights
    input: InputGeometry
    decode: Decode
    labels: tuple[str, ...]
    anchors: npt.NDArray[np.float32] | None
    tensors: Tensors
    licence: Licence
    card: Card
    digest: str
    edgetpu: Weights | None = None
    smaller: str = ""
    training: Training | None = None
    known_answers: KnownAnswers | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    signed_by: str = ""
    weights_path: Path | None = None

    @property
    def family(self) -> str:
        return self.decode.family

    @property
    def sha256(self) -> str:
        """The SHA-256 that the weights must have, in hexadecimal."""
        return self.weights.sha256

    @property
    def twin(self) -> ModelPack | None:
        """The same pack with the Edge TPU's file for weights; None if it has none.

        It is located, fetched and verified like any pack.
        """
        if self.edgetpu is None:
            return None
        return replace(self, weights=self.edgetpu, edgetpu=None, weights_path=None)


def read_pack(folder: Path, trusted: Iterable[str] = ()) -> ModelPack:
    """Read and check all of a pack but its weights: signature, manifest, every file's hash.

    Args:
        folder: With the manifest.
        trusted: Public keys whose signatures count besides those that always do.

    Raises:
        PackRejected: A file is missing, was changed, or says something wrong, or nobody trusted
            has signed the manifest; every problem of the manifest is named with its key.
    """
    path = folder / MANIFEST
    content = _read(path)
    key = check_signature(folder, MANIFEST, content, trusted_keys(trusted))
    manifest = parse_manifest(path, content)
    side_files = _SideFiles(folder, manifest.files)
    labels = _labels(side_files, manifest)
    anchors = _anchors(side_files, manifest)
    return ModelPack(
        name=manifest.name,
        folder=folder,
        task=manifest.task,
        weights=manifest.weights,
        input=manifest.input,
        decode=manifest.decode,
        labels=labels,
        anchors=anchors,
        tensors=manifest.tensors,
        licence=manifest.licence,
        card=manifest.card,
        edgetpu=manifest.edgetpu,
        smaller=manifest.smaller,
        training=manifest.training,
        known_answers=_known_answers(side_files, manifest),
        files=manifest.files,
        signed_by=key.name,
        # The manifest has the hashes of all the rest.
        digest=hashlib.sha256(content).hexdigest(),
    )


def read_side_file(pack: ModelPack, name: str) -> bytes:
    """Return the content of one of a pack's files, its hash checked just now.

    Raises:
        PackRejected: The manifest does not list it, it is missing, or it was changed.
    """
    return _side_file(pack.folder, pack.files, name)


class _SideFiles:
    """The contents of all files that a manifest lists, checked."""

    def __init__(self, folder: Path, hashes: Mapping[str, str]) -> None:
        self._folder = folder
        self._contents = {name: _side_file(folder, hashes, name) for name in hashes}

    def path(self, name: str) -> Path:
        return self._folder / name

    def content(self, name: str) -> bytes:
        if name not in self._contents:
            raise _unlisted(self._folder / name)
        return self._contents[name]


def _side_file(folder: Path, hashes: Mapping[str, str], name: str) -> bytes:
    path = folder / name
    if name not in hashes:
        raise _unlisted(path)
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != hashes[name]:
        raise PackRejected(
            f"this file was changed since the pack was signed: sha256 is {found}, "
            f"expected {hashes[name]}",
            where=str(path),
            remedy="Get the pack anew; if the change is yours, sign it again: "
            f"camera-app models sign {folder} --key FILE",
        )
    return content


def _unlisted(path: Path) -> PackRejected:
    return PackRejected(
        f"the manifest names this file and does not list it under [files], so {_NOT_BOUND}",
        where=str(path),
        remedy=f"Sign the pack, that lists it: camera-app models sign {path.parent} --key FILE",
    )


_NOT_BOUND = "the signature says nothing about it"


def parse_manifest(path: Path, content: bytes) -> Manifest:
    """Check the content of a manifest, whoever signed it.

    Raises:
        PackRejected: Every problem is named with its key.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackRejected(f"the manifest is not TOML: {error}", where=str(path)) from error
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        lines = [_problem(details) for details in error.errors(include_url=False)]
        listing = "".join(f"\n  {line}" for line in lines)
        raise PackRejected(f"the manifest is wrong{listing}", where=str(path)) from error


def _problem(details: Any) -> str:
    """Say in a line which key is wrong, what is expected and what stands there."""
    key = ".".join(str(part) for part in details["loc"]) or "manifest"
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{key}: no such key"
    if kind == "missing":
        return f"{key}: is missing"
    if kind == "union_tag_not_found":
        return f"{key}: family is missing"
    if kind == "union_tag_invalid":
        context = details["ctx"]
        return f"{key}.family: expected one of {context['expected_tags']}, got {context['tag']!r}"
    message = str(details["msg"]).removeprefix("Value error, ")
    value = details["input"]
    got = f", got {value!r}" if isinstance(value, str | int | float | bool) else ""
    return f"{key}: {message[0].lower()}{message[1:]}{got}"


def _labels(side_files: _SideFiles, manifest: Manifest) -> tuple[str, ...]:
    if isinstance(manifest.labels, tuple):
        return manifest.labels
    try:
        lines = side_files.content(manifest.labels).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        where = str(side_files.path(manifest.labels))
        raise PackRejected(f"the labels are not UTF-8 text: {error}", where=where) from error
    return tuple(line.strip() for line in lines if line.strip())


def _anchors(side_files: _SideFiles, manifest: Manifest) -> npt.NDArray[np.float32] | None:
    if not isinstance(manifest.decode, SsdAnchorsDecode):
        return None
    where = str(side_files.path(manifest.decode.anchors))
    content = side_files.content(manifest.decode.anchors)
    try:
        table = np.loadtxt(io.BytesIO(content), dtype=np.float32, delimiter=",", ndmin=2)
    except ValueError as error:
        raise PackRejected(f"the anchors are not numbers: {error}", where=where) from error
    if table.shape[1] != 4 or not np.isfinite(table).all():
        message = f"anchors need 4 finite numbers a line, got {table.shape[1]}"
        raise PackRejected(message, where=where)
    return table


def _known_answers(side_files: _SideFiles, manifest: Manifest) -> KnownAnswers | None:
    if manifest.known_answers is None:
        return None
    name = manifest.known_answers.file
    return parse_known_answers(side_files.content(name), where=str(side_files.path(name)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackRejected(f"cannot be read: {error.strerror or error}", where=str(path)) from error
