"""Several packs for one camera."""

from __future__ import annotations

import pytest

from camera_app.errors import ModelError
from camera_app.models import find_models, find_pack, model_set
from camera_app.values import Size


def test_a_single_pack_is_a_set_with_its_own_digest() -> None:
    pack = find_pack("yolox_nano_person_256")
    models = find_models(["yolox_nano_person_256"])

    assert models.names == ("yolox_nano_person_256",)
    assert (models.labels, models.digest) == (("person",), pack.digest)
    assert models.input_size == Size(256, 256)


def test_two_packs_know_the_classes_of_both_and_each_its_own() -> None:
    models = find_models(["yolox_nano_person_256", "rfb_face_320x240"])

    assert models.labels == ("person", "face")
    assert models.labels_by_pack == (("person",), ("face",))
    assert models.input_size == Size(320, 256)  # the wider of both, the higher of both


def test_the_digest_tells_which_packs_and_in_which_order() -> None:
    one, other = find_pack("yolox_nano_person_256"), find_pack("rfb_face_320x240")
    digests = [model_set(packs).digest for packs in ([one], [other], [one, other], [other, one])]

    assert len(set(digests)) == 4


def test_packs_that_find_the_same_are_refused_with_the_class() -> None:
    with pytest.raises(ModelError, match="yolox_nano_coco_320 both find the class 'person'"):
        find_models(["yolox_nano_person_256", "rfb_face_320x240", "yolox_nano_coco_320"])
    with pytest.raises(ModelError, match="both find the class 'face'"):
        find_models(["rfb_face_320x240", "rfb_face_320x240"])


def test_a_name_that_is_unknown_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean rfb_face_320x240"):
        find_models(["yolox_nano_person_256", "rfb_face_320x24"])
