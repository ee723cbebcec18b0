"""Reading a network's file without running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.workshop.tflite_files import NetWriter, write_two_layers
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_graph import macs_of, read_graph


@pytest.fixture
def two_layers(tmp_path: Path) -> Path:
    return write_two_layers(tmp_path / "two.tflite")


def test_operators_come_in_order_with_kind_version_and_options(two_layers: Path) -> None:
    conv, logistic = read_graph(two_layers).operators

    assert (conv.kind, conv.version, conv.options["strideW"]) == ("CONV_2D", 3, 1)
    assert (logistic.kind, logistic.version, logistic.is_custom) == ("LOGISTIC", 2, False)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("model/features;model/norm;model/bias", "model/features"),
        ("scores:0", "scores"),
        ("tf.math.add_3/Add", "tf.math.add_3/Add"),
        (
            "torch.nn.modules.container.Sequential_body/torch.nn.Conv2d_0;2",
            "Sequential_body/Conv2d_0",
        ),
    ],
)
def test_a_layer_is_called_by_the_first_of_its_fused_names(
    tmp_path: Path, name: str, short: str
) -> None:
    net = NetWriter()
    source, result = net.tensor("picture", [1, 4]), net.tensor(name, [1, 4])
    net.operator("LOGISTIC", [source], [result])
    graph = read_graph(net.write(tmp_path / "net.tflite", [source], [result]))

    assert graph.operators[0].name == short


def test_constants_are_told_from_what_is_computed(two_layers: Path) -> None:
    conv = read_graph(two_layers).operators[0]

    assert [tensor.name for tensor in conv.computed] == ["picture"]
    assert [tensor.byte_count for tensor in conv.constants] == [108, 16]
    weights = conv.constants[0].values
    assert weights is not None
    assert weights.shape == (4, 3, 3, 3)


def test_the_graph_knows_who_feeds_whom(two_layers: Path) -> None:
    graph = read_graph(two_layers)
    conv, logistic = graph.operators
    features = conv.outputs[0].index

    assert graph.producers[features] is conv
    assert graph.consumers[features] == (logistic,)
    assert graph.inputs[0].index not in graph.producers


def test_quantisation_is_read_with_its_axis(tmp_path: Path) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 4, 4, 2], "UINT8", scales=(0.5,), zero_point=128)
    weights = net.constant("weights", np.ones((1, 3, 3, 2), np.int8), scales=(0.1, 0.2), axis=3)
    result = net.tensor("result", [1, 4, 4, 2])
    net.operator("DEPTHWISE_CONV_2D", [picture, weights, -1], [result])
    graph = read_graph(net.write(tmp_path / "depthwise.tflite", [picture], [result]))

    source, filters = graph.operators[0].given
    assert source.quantisation is not None
    assert source.quantisation.zero_points == (128,)
    assert not source.quantisation.is_per_channel
    assert filters.quantisation is not None
    assert filters.quantisation.scales == pytest.approx((0.1, 0.2))
    assert filters.quantisation.axis == 3
    assert graph.operators[0].inputs[2] is None


def test_parameters_and_macs_are_counted_from_shapes(two_layers: Path) -> None:
    graph = read_graph(two_layers)

    assert graph.parameter_count == 4 * 3 * 3 * 3 + 4
    # 8x8 places, 4 filters of 3x3x3 each; LOGISTIC multiplies nothing worth counting.
    assert graph.mac_count == 8 * 8 * 4 * 27


def test_a_depthwise_filter_sees_one_channel_and_a_dense_layer_all(tmp_path: Path) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 4, 4, 2])
    weights = net.constant("weights", np.ones((1, 3, 3, 2), np.int8), scales=(0.1,))
    result = net.tensor("result", [1, 4, 4, 2])
    net.operator("DEPTHWISE_CONV_2D", [picture, weights, -1], [result])
    dense = net.constant("dense", np.ones((5, 32), np.int8), scales=(0.1,))
    scores = net.tensor("scores", [1, 5])
    net.operator("FULLY_CONNECTED", [result, dense, -1], [scores])
    graph = read_graph(net.write(tmp_path / "net.tflite", [picture], [scores]))

    assert [macs_of(operator) for operator in graph.operators] == [4 * 4 * 2 * 9, 5 * 32]


def test_a_shape_operand_is_no_parameter(tmp_path: Path) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 4, 4, 2])
    shape = net.constant("shape", np.array([1, 32], np.int32))
    flat = net.tensor("flat", [1, 32])
    net.operator("RESHAPE", [picture, shape], [flat])
    graph = read_graph(net.write(tmp_path / "net.tflite", [picture], [flat]))

    assert graph.parameter_count == 0


def test_open_dimensions_come_from_the_signature(tmp_path: Path) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 4, 4, 2], signature=[-1, 4, 4, 2])
    result = net.tensor("result", [1, 4, 4, 2])
    net.operator("LOGISTIC", [picture], [result])
    graph = read_graph(net.write(tmp_path / "net.tflite", [picture], [result]))

    assert graph.inputs[0].open_axes == (0,)
    assert graph.outputs[0].open_axes == ()


@pytest.mark.parametrize("kept", [0, 6, 8, 12, 200, 700])
def test_a_cut_off_file_is_refused_with_its_name(two_layers: Path, kept: int) -> None:
    two_layers.write_bytes(two_layers.read_bytes()[:kept])

    with pytest.raises(WorkshopError, match="TFLite file") as caught:
        read_graph(two_layers)

    assert caught.value.where == str(two_layers)
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match="cannot be read") as caught:
        read_graph(tmp_path / "none.tflite")

    assert caught.value.where.endswith("none.tflite")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "git_lfs_pointer",
        "html_error_page",
        "random_bytes_4k",
        "root_offset_past_end",
        "truncated_60pct",
        "truncated_header_12b",
        "wrong_identifier",
    ],
)
def test_what_is_no_network_is_refused_in_our_words(shared: Path, name: str) -> None:
    with pytest.raises(WorkshopError, match="TFLite file"):
        read_graph(shared / "models" / "broken" / f"{name}.tflite")


@pytest.mark.shared
def test_a_known_network_has_the_figures_its_authors_state(shared: Path) -> None:
    """MobileNet v1, quarter width, 128 px: 0.47 million parameters, 14 million MACs."""
    graph = read_graph(shared / "models" / "classify" / "mobilenet_v1_0.25_128.tflite")

    assert len(graph.operators) == 31
    assert graph.parameter_count / 1e6 == pytest.approx(0.47, abs=0.005)
    assert graph.mac_count / 1e6 == pytest.approx(14, abs=0.5)
