"""Control vectors as llama.cpp has them, and strangers' files that are none."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from gptcli.errors import ModelError
from gptcli.formats.gguf import control_vector
from gptcli.formats.gguf.control_vector import ControlVector
from tests.faults.gguf_files import STRING, Field, File, Tensor

#: What llama.cpp's cvector-generator made of a Llama of random weights, 64 wide, 3 layers deep.
THEIRS = Path(__file__).with_name("control_vectors") / "cvector-generator.gguf"
ROW = np.arange(4, dtype="<f4").tobytes()
FIELDS = [
    Field(b"general.architecture", STRING, b"controlvector"),
    Field(b"controlvector.model_hint", STRING, b"llama"),
    Field(b"controlvector.layer_count", 4, 1),
]


def test_llama_cpp_s_own_file_is_the_one_that_is_written_of_it(tmp_path: Path) -> None:
    """Catches a field, a type, an order or a padding that is not llama.cpp's, and directions at
    other layers."""
    found = control_vector.read(THEIRS)
    assert (found.hint, found.width, list(found.directions)) == ("llama", 64, [1, 2])
    # They are of length 1.
    lengths = [np.linalg.norm(each) for each in found.directions.values()]
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)
    assert control_vector.encode(found) == THEIRS.read_bytes()


def test_the_gguf_package_reads_what_is_written_and_writes_what_is_read(tmp_path: Path) -> None:
    """Catches bytes that only this reader takes: files of repeng are made by that package."""
    rng = np.random.default_rng(0)
    rows = {layer: rng.standard_normal(6).astype(np.float32) for layer in (3, 11)}
    (tmp_path / "ours.gguf").write_bytes(control_vector.encode(ControlVector("gpt2", rows)))
    reader = gguf.GGUFReader(tmp_path / "ours.gguf")
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "gpt2"
    assert reader.get_field("controlvector.layer_count").contents() == 2
    for tensor, (layer, row) in zip(reader.tensors, rows.items(), strict=True):
        assert tensor.name == f"direction.{layer}"
        np.testing.assert_array_equal(tensor.data, row)
    writer = gguf.GGUFWriter(tmp_path / "theirs.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "gpt2")
    writer.add_uint32("controlvector.layer_count", 2)
    for layer, row in reversed(rows.items()):
        writer.add_tensor(f"direction.{layer}", row)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = control_vector.read(tmp_path / "theirs.gguf")
    assert (found.hint, list(found.directions)) == ("gpt2", [3, 11])
    for layer, row in rows.items():
        np.testing.assert_array_equal(found.directions[layer], row)


def test_layer_0_has_no_name() -> None:
    """Catches a direction that llama.cpp would refuse the whole file for."""
    with pytest.raises(ValueError, match="behind layer 0"):
        control_vector.encode(ControlVector("", {0: np.ones(2, np.float32)}))


def tensor(name: bytes, dims: tuple[int, ...] = (4,), code: int = 0, data: bytes = ROW) -> Tensor:
    return Tensor(name, dims, code, data)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ([], "without a direction"),
        ([tensor(b"direction.0")], "'direction.0' where direction.1"),
        ([tensor(b"direction.01")], "'direction.01'"),
        ([tensor(b"direction.1x")], "'direction.1x'"),
        ([tensor(b"direction.99999")], "'direction.99999'"),
        ([tensor(b"other.1")], "'other.1'"),
        ([tensor(b"direction.1", code=1, data=ROW[:8])], "is of type F16, not F32"),
        ([tensor(b"direction.1", (2, 2))], "has 2 dimensions, not one"),
        (
            [tensor(b"direction.1"), tensor(b"direction.2", (2,), data=ROW[:8])],
            "direction.2 has 2 numbers, others have 4",
        ),
        (
            [tensor(b"direction.1", data=struct.pack("<4f", 1, float("nan"), 1, 1))],
            "direction.1 has numbers that are not finite",
        ),
    ],
)
def test_what_is_no_control_vector_says_why(tmp_path: Path, tensors, reason: str) -> None:
    """Catches a file that is steered by although llama.cpp refuses it, and a bug in its place."""
    path = tmp_path / "x.gguf"
    path.write_bytes(File(FIELDS, tensors).bytes())
    with pytest.raises(ModelError, match=reason):
        control_vector.read(path)


def test_a_model_is_none(tmp_path: Path) -> None:
    """Catches a model's file that is taken for a control vector, and told about its tensors."""
    path = tmp_path / "x.gguf"
    fields = [Field(b"general.architecture", STRING, b"llama")]
    path.write_bytes(File(fields, [tensor(b"direction.1")]).bytes())
    with pytest.raises(ModelError, match="is no control vector: its architecture is 'llama'"):
        control_vector.read(path)


def test_a_hole_of_a_file_costs_nothing(tmp_path: Path) -> None:
    """Catches directions that are read although no model is so wide: a sparse file claims any
    size for free."""
    path = tmp_path / "x.gguf"
    path.write_bytes(File(FIELDS, [tensor(b"direction.1", (1 << 30,), data=b"")]).bytes())
    with path.open("r+b") as file:
        file.truncate(5 << 30)
    with pytest.raises(ModelError, match="more than 256 MiB"):
        control_vector.read(path)
