from __future__ import annotations

import json

import numpy as np
import pytest

from openfm.contract.checkpoints import ArrayPieces, CheckpointFolder, checkpoint_folder
from openfm.contract.paths import ContractPaths
from openfm.errors import ChannelError

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([1.5])}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def save(folder, step):
    return folder.save(step, {"step": step}, [ArrayPieces.whole(name, array) for name, array in ARRAYS.items()])


def test_what_is_saved_is_read(tmp_path):
    folder = CheckpointFolder(tmp_path / "made" / "here")
    path = save(folder, 7)
    assert path.stat().st_mode & 0o777 == 0o644
    checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
    assert checkpoint.meta == {"step": 7}
    assert remarks == []
    assert checkpoint.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(checkpoint.arrays[name], array)


def test_pieces_may_lie_in_the_same_memory(tmp_path):
    def pieces():
        memory = np.empty((2, 3), np.float32)
        for number in range(4):
            memory[:] = number
            yield memory[: 2 if number < 3 else 1]

    folder = CheckpointFolder(tmp_path)
    path = folder.save(1, {}, [ArrayPieces("a", (7, 3), pieces()), ArrayPieces("empty", (0, 3), [])])
    expected = np.repeat(np.float32([0, 0, 1, 1, 2, 2, 3]), 3).reshape(7, 3)
    checkpoint, _ = folder.newest(lambda checkpoint: checkpoint)
    np.testing.assert_array_equal(checkpoint.arrays["a"], expected)
    assert checkpoint.arrays["empty"].shape == (0, 3)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["a"], expected)


def test_an_empty_folder_has_none(tmp_path):
    assert CheckpointFolder(tmp_path).newest(lambda checkpoint: checkpoint) == (None, [])


def test_the_newest_five_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3, 10, 20, 100, 7):
        save(folder, step)
    assert names(tmp_path) == [f"openfm-checkpoint-{step:015d}.npz" for step in (3, 7, 10, 20, 100)]
    assert folder.newest(lambda checkpoint: checkpoint)[0].meta == {"step": 100}


def test_a_file_that_is_being_uploaded_is_not_removed(tmp_path):
    folder = CheckpointFolder(tmp_path)
    first, second = save(folder, 1), save(folder, 2)
    first.with_name(first.name + ".sagemaker-uploading").touch()
    second.with_name(second.name + ".sagemaker-uploading").touch()
    second.with_name(second.name + ".sagemaker-uploaded").touch()
    for step in range(3, 8):
        save(folder, step)
    assert first.exists()
    assert not second.exists()
    assert folder.newest(lambda checkpoint: checkpoint)[1] == []  # the agent's markers are nobody's surprise


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_torn_files_are_passed_over_with_a_remark(tmp_path, cut):
    folder = CheckpointFolder(tmp_path)
    save(folder, 1)
    torn = save(folder, 2)
    torn.write_bytes(torn.read_bytes()[:cut])
    checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
    assert checkpoint.meta == {"step": 1}
    assert len(remarks) == 1
    assert str(torn) in remarks[0]


def test_changed_bytes_are_noticed(tmp_path):
    folder = CheckpointFolder(tmp_path)
    path = save(folder, 1)
    content = bytearray(path.read_bytes())
    content[content.index(ARRAYS["a"].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
    assert checkpoint is None
    assert "cannot be read" in remarks[0]


def test_foreign_files_are_named_and_left_alone(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"x")
    folder = CheckpointFolder(tmp_path)
    save(folder, 1)
    assert "model.pkl" in folder.newest(lambda checkpoint: checkpoint)[1][0]
    assert (tmp_path / "model.pkl").exists()


def test_a_pickle_is_not_loaded(tmp_path):
    folder = CheckpointFolder(tmp_path)
    path = tmp_path / "openfm-checkpoint-000000000000001.npz"
    np.savez(path, meta=np.array([{"format": 1}], dtype=object))
    checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
    assert checkpoint is None
    assert len(remarks) == 1


@pytest.mark.parametrize("meta", [[], 3, None, "x", {"format": 0}, {}])
def test_meta_that_is_none(tmp_path, meta):
    folder = CheckpointFolder(tmp_path)
    content = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(tmp_path / "openfm-checkpoint-000000000000001.npz", meta=content)
    checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
    assert checkpoint is None
    assert len(remarks) == 1


def test_random_damage_is_passed_over_or_harmless(tmp_path):
    folder = CheckpointFolder(tmp_path)
    path = save(folder, 1)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(1500):
        content = bytearray(sound)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        checkpoint, remarks = folder.newest(lambda checkpoint: checkpoint)
        assert (checkpoint is None) == (len(remarks) == 1)


def test_what_the_reader_refuses_is_passed_over(tmp_path):
    folder = CheckpointFolder(tmp_path)
    save(folder, 1)
    save(folder, 2)

    def parse(checkpoint):
        if checkpoint.meta["step"] == 2:
            raise ValueError("no job's state")
        return checkpoint.meta["step"]

    step, remarks = folder.newest(parse)
    assert step == 1
    assert "no job's state" in remarks[0]


def test_another_format_is_passed_over(tmp_path):
    folder = CheckpointFolder(tmp_path)
    meta = np.frombuffer(json.dumps({"format": 2}).encode(), dtype=np.uint8)
    np.savez(tmp_path / "openfm-checkpoint-000000000000001.npz", meta=meta)
    assert "another version of openfm" in folder.newest(lambda checkpoint: checkpoint)[1][0]


def test_what_a_killed_job_left_half_written_goes(tmp_path):
    left = tmp_path / "openfm-checkpoint-000000000000009.npz.sagemaker-ignore"
    left.write_bytes(b"half")
    folder = CheckpointFolder(tmp_path)
    assert names(tmp_path) == []
    save(folder, 1)
    assert names(tmp_path) == ["openfm-checkpoint-000000000000001.npz"]


class TestPlace:
    def configure(self, base, content):
        (base / "input" / "config").mkdir(parents=True)
        (base / "input" / "config" / "checkpointconfig.json").write_text(json.dumps(content))

    def test_nowhere_by_default(self, tmp_path):
        assert checkpoint_folder(ContractPaths(tmp_path)) is None

    def test_the_mounted_folder(self, tmp_path):
        (tmp_path / "checkpoints").mkdir()
        assert checkpoint_folder(ContractPaths(tmp_path)) == tmp_path / "checkpoints"

    @pytest.mark.parametrize(
        ("local_path", "expected"),
        [("/opt/ml/checkpoints", "checkpoints"), ("/opt/ml/a/b", "a/b"), ("/elsewhere", "/elsewhere")],
    )
    def test_the_configured_path_moves_with_the_tree(self, tmp_path, local_path, expected):
        self.configure(tmp_path, {"LocalPath": local_path, "S3Uri": "s3://b/k"})
        assert checkpoint_folder(ContractPaths(tmp_path)) == tmp_path / expected

    def test_no_local_path(self, tmp_path):
        self.configure(tmp_path, {})
        assert checkpoint_folder(ContractPaths(tmp_path)) is None

    @pytest.mark.parametrize("local_path", [3, "relative", ""])
    def test_a_path_that_is_none(self, tmp_path, local_path):
        self.configure(tmp_path, {"LocalPath": local_path})
        with pytest.raises(ChannelError, match="absolute path is needed"):
            checkpoint_folder(ContractPaths(tmp_path))
