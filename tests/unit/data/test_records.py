from __future__ import annotations

import gzip
import io
import threading

import numpy as np
import pytest

from openfm.data.record_schema import Record
from openfm.data.recordio import iter_frames
from openfm.data.records import (
    RecordReader,
    decode_bare_record,
    decode_records,
    encode_scores,
    read_records,
    write_records,
)
from openfm.errors import ChannelError, DataError
from openfm.native import _core
from support.wire import features, field, float32_tensor, floats, frame, label, tag, varint, varints


def sparse(keys=(0,), values=(1.0,), shape=None) -> bytes:
    return features(float32_tensor(floats(*values), varints(*keys), b"" if shape is None else varint(shape)))


def labelled(*values: float) -> bytes:
    return label(float32_tensor(floats(*values)))


class TestWidth:
    def test_inferred_from_the_largest_key(self):
        block = decode_records(frame(sparse([3])) + frame(sparse([7])) + frame(sparse([1])), feature_dim=None)
        assert block.rows.feature_dim == 8

    def test_inferred_from_the_shape(self):
        assert decode_records(frame(sparse([3], shape=100)), feature_dim=None).rows.feature_dim == 100

    def test_inferred_from_a_dense_length(self):
        data = frame(features(float32_tensor(floats(0, 0, 1, 0)))) + frame(sparse([3]))
        assert decode_records(data, feature_dim=None).rows.feature_dim == 4

    def test_of_nothing_is_zero(self):
        assert decode_records(b"", feature_dim=None).rows.feature_dim == 0

    @pytest.mark.parametrize(
        ("second", "message"),
        [
            (sparse([0], shape=9), "Record 1 .* has 9 features, where the records before it have 8"),
            (sparse([8]), "Record 1 .* has the key 8 in feature 'values', where keys must be below 8"),
        ],
    )
    def test_declared_widths_must_agree(self, second, message):
        with pytest.raises(DataError, match=message):
            decode_records(frame(sparse([0], shape=8)) + frame(second), feature_dim=None)

    def test_declared_below_an_earlier_key(self):
        with pytest.raises(DataError, match=r"Record 1 .* has 8 features, where the records before it have 10"):
            decode_records(frame(sparse([9])) + frame(sparse([0], shape=8)), feature_dim=None)

    def test_widest(self):
        widest = 2**31 - 1
        assert decode_records(frame(sparse([widest - 1])), feature_dim=None).rows.feature_dim == widest
        with pytest.raises(DataError, match=r"key 2147483647 .* below 2147483647"):
            decode_records(frame(sparse([widest])), feature_dim=None)
        with pytest.raises(DataError, match="has 2147483648 features, which is more than the 2147483647"):
            decode_records(frame(sparse([0], shape=widest + 1)), feature_dim=None)

    @pytest.mark.parametrize("feature_dim", [-1, 2**31])
    def test_out_of_range(self, feature_dim):
        with pytest.raises(ValueError, match="feature_dim must be from 0"):
            decode_records(b"", feature_dim=feature_dim)


class TestLabels:
    def test_ignored_labels_may_be_anything(self):
        data = frame(sparse() + labelled(1, 2)) + frame(sparse() + labelled(np.nan)) + frame(sparse())
        assert decode_records(data, feature_dim=5, labels="ignored").labels is None

    def test_optional_labels_are_all_there_or_none(self):
        with_label, without = frame(sparse() + labelled(1)), frame(sparse())
        assert decode_records(with_label + with_label, feature_dim=5).labels.tolist() == [1, 1]
        assert decode_records(without + without, feature_dim=5).labels is None
        for first, second, count in ((with_label, without, 0), (without, with_label, 1)):
            with pytest.raises(DataError, match=f"Record 1 .* has {count} labels, unlike the records before it"):
                decode_records(first + second, feature_dim=5)

    def test_required_labels_of_no_records(self):
        assert decode_records(b"", feature_dim=5, labels="required").labels.tolist() == []

    def test_missing(self):
        with pytest.raises(DataError, match=r"Record 0 .* has 0 values in label 'values', where one is needed"):
            decode_records(frame(sparse()), feature_dim=5, labels="required")

    def test_unknown_mode(self):
        with pytest.raises(ValueError, match="labels must be 'required', 'optional' or 'ignored'"):
            decode_records(b"", feature_dim=5, labels="some")


class TestProtobuf:
    """Corners of the wire format; tests/property compares with Google's parser at large."""

    @pytest.mark.parametrize("depth", [100, 101])
    def test_groups_nest_as_deep_as_googles_parser_lets_them(self, depth):
        data = sparse() + tag(9, 3) * depth + tag(9, 4) * depth
        if depth <= 100:
            assert len(decode_records(frame(data), feature_dim=5)) == 1
            Record.FromString(data)
        else:
            with pytest.raises(DataError, match=r"not a valid aialgs.data.Record"):
                decode_records(frame(data), feature_dim=5)

    def test_a_million_open_groups_are_refused_without_recursion(self):
        with pytest.raises(DataError, match=r"not a valid aialgs.data.Record"):
            decode_records(frame(tag(9, 3) * 1_000_000), feature_dim=5)

    def test_many_packed_runs(self):
        runs = b"".join(field(1, floats(i + 1)) + field(2, varint(i)) for i in range(100))
        block = decode_records(frame(features(field(2, runs))), feature_dim=100)
        assert block.rows.indices.tolist() == list(range(100))
        assert block.rows.values.tolist() == list(range(1, 101))

    @pytest.mark.parametrize("length", range(1, 11))
    def test_keys_of_every_length(self, length):
        keys = b"".join(varint(key, length=length) for key in (1, 2, 3))
        block = decode_records(frame(features(float32_tensor(floats(1, 2, 3), keys))), feature_dim=5)
        assert block.rows.indices.tolist() == [1, 2, 3]

    @pytest.mark.parametrize("key", [2**7 - 1, 2**7, 2**14 - 1, 2**14, 2**21, 2**28, 2**31 - 3])
    def test_keys_of_every_size(self, key):
        keys = [0, key, 2**31 - 2]
        block = decode_records(frame(sparse(keys, [1, 2, 3])), feature_dim=2**31 - 1)
        assert block.rows.indices.tolist() == keys


def test_dense_rows_of_every_length_around_the_blocks():
    rng = np.random.default_rng(0)
    for length in range(1, 40):
        row = rng.integers(0, 2, length).astype(np.float32)
        block = decode_records(frame(features(float32_tensor(row.tobytes()))), feature_dim=length)
        assert block.rows.indices.tolist() == np.flatnonzero(row).tolist()
        assert block.rows.values.tolist() == row[row != 0].tolist()


@pytest.mark.parametrize("position", [0, 7, 8, 20])
@pytest.mark.parametrize(("value", "message"), [(np.nan, "has a NaN"), (-np.inf, "infinite as float32")])
def test_not_finite_anywhere(position, value, message):
    row = np.zeros(21, np.float32)
    row[position] = value
    for data in (float32_tensor(row.tobytes()), float32_tensor(row.tobytes(), varints(*range(21)))):
        with pytest.raises(DataError, match=message):
            decode_records(frame(features(data)), feature_dim=21)


def test_blocks_that_are_kept_stay_as_they_are():
    """The memory of blocks that are freed is used again; that of others is not."""
    rng = np.random.default_rng(0)
    matrices = [rng.integers(0, 3, (2000, 50)).astype(np.float32) for _ in range(6)]
    kept = []
    for matrix in matrices:
        buffer = io.BytesIO()
        write_records(buffer, matrix, matrix[:, 0])
        decode_records(buffer.getvalue(), feature_dim=50)  # and is freed at once
        kept.append(decode_records(buffer.getvalue(), feature_dim=50))
    for matrix, block in zip(matrices, kept, strict=True):
        assert np.array_equal(block.rows.to_scipy().toarray(), matrix)
        assert np.array_equal(block.labels, matrix[:, 0])


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="no instruction set 'mmx'"):
        _core.decode_records(b"", 5, "required", framed=True, final=True, instruction_set="mmx")


class TestBareRecord:
    def test_decodes(self):
        block = decode_bare_record(sparse([2], [5]) + labelled(1, 2), feature_dim=5)
        assert (block.rows.indices.tolist(), block.rows.values.tolist(), block.labels) == ([2], [5], None)

    def test_refuses(self):
        with pytest.raises(DataError, match=r"Record 0 \(byte 0\) has the key 5"):
            decode_bare_record(sparse([5]), feature_dim=5)


class TestReadRecords:
    data = frame(sparse([1], [2], 3) + labelled(1)) + frame(sparse([], [], 3) + labelled(0))

    def check(self, X, y):
        assert X.toarray().tolist() == [[0, 2, 0], [0, 0, 0]]
        assert y.tolist() == [1, 0]

    def test_bytes(self):
        for data in (self.data, bytearray(self.data), memoryview(self.data)):
            self.check(*read_records(data))

    def test_path(self, tmp_path):
        path = tmp_path / "a.pbr"
        path.write_bytes(self.data)
        self.check(*read_records(path))
        self.check(*read_records(str(path)))

    def test_open_file(self):
        self.check(*read_records(io.BytesIO(self.data)))

    def test_feature_dim(self):
        with pytest.raises(DataError, match="has 3 features, where feature_dim is 4"):
            read_records(self.data, feature_dim=4)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_records(tmp_path / "none")

    def test_results_are_writable_and_own_their_memory(self):
        X, y = read_records(self.data)
        X.data[0] = 7
        y[0] = 7
        assert X[0, 1] == 7


class TestRecordReader:
    def file(self, path, rows: range) -> bytes:
        data = b"".join(frame(sparse([i % 5], [i + 1]) + labelled(i)) for i in rows)
        path.write_bytes(data)
        return data

    @pytest.mark.parametrize("block_bytes", [1, 7, 64, 1000, 2**20])
    def test_files_in_order_whatever_the_blocks(self, tmp_path, block_bytes):
        files = [tmp_path / "b", tmp_path / "a"]
        self.file(files[0], range(30))
        self.file(files[1], range(30, 50))
        reader = RecordReader(files, channel="train", feature_dim=5, block_bytes=block_bytes)
        for _ in range(2):  # it can be read again
            blocks = list(reader)
            assert all(len(block) for block in blocks)
            assert np.concatenate([block.labels for block in blocks]).tolist() == list(range(50))
            assert np.concatenate([block.rows.values for block in blocks]).tolist() == list(range(1, 51))

    @pytest.mark.parametrize("block_bytes", [1, 64, 1000, 2**20])
    def test_it_goes_on_from_the_end_of_any_block(self, tmp_path, block_bytes):
        files = [tmp_path / "b", tmp_path / "a"]
        self.file(files[0], range(30))
        files[1].write_bytes(gzip.compress(self.file(files[1], range(30, 50))))
        reader = RecordReader(files, channel="train", feature_dim=5, block_bytes=block_bytes)
        blocks = list(reader)
        labels = [block.labels.tolist() for block in blocks]
        for number, block in enumerate(blocks, 1):
            assert [after.labels.tolist() for after in reader.read(block.end)] == labels[number:]

    def test_a_fault_is_named_the_same_from_wherever_it_is_read(self, tmp_path):
        path = tmp_path / "part-0"
        good = self.file(path, range(30))
        path.write_bytes(good + frame(sparse([5]) + labelled(1)))
        reader = RecordReader([path], channel="train", feature_dim=5, block_bytes=100)
        end = next(reader.read()).end
        assert 0 < end.record < 30
        with pytest.raises(DataError, match=rf"Record 30 \(byte {len(good)}\) of '{path}' has the key 5"):
            list(reader.read(end))

    def test_position_of_a_fault_far_into_a_file(self, tmp_path):
        path = tmp_path / "part-0"
        good = self.file(path, range(30))
        path.write_bytes(good + frame(sparse([5]) + labelled(1)))
        reader = RecordReader([path], channel="train", feature_dim=5, block_bytes=100)
        with pytest.raises(DataError, match=rf"Record 30 \(byte {len(good)}\) of '{path}' has the key 5"):
            list(reader)

    def test_truncated_at_every_byte(self, tmp_path):
        path = tmp_path / "part-0"
        data = self.file(path, range(3))
        length = len(data) // 3
        for end in range(len(data)):
            path.write_bytes(data[:end])
            reader = RecordReader([path], channel="train", feature_dim=5, block_bytes=16)
            record = end // length
            if end % length == 0:
                assert sum(len(block) for block in reader) == record
            else:
                where = rf"Record {record} \(byte {record * length}\) of '{path}' is cut off"
                with pytest.raises(DataError, match=where):
                    list(reader)

    def test_unreadable_file(self, tmp_path):
        with pytest.raises(ChannelError, match=r"data channel 'train'. Cannot read '.*gone': No such file"):
            list(RecordReader([tmp_path / "gone"], channel="train", feature_dim=5))


class TestEncodeScores:
    def test_binary(self):
        data = encode_scores(np.array([0.25, 0.75], np.float32), np.array([0, 1], np.float32))
        block = [Record.FromString(payload) for payload in self.payloads(data)]
        assert [record.label["score"].float32_tensor.values[0] for record in block] == [0.25, 0.75]
        assert [record.label["predicted_label"].float32_tensor.values[0] for record in block] == [0, 1]
        assert not any(record.features for record in block)

    def test_regressor(self):
        (payload,) = self.payloads(encode_scores(np.array([3.5], np.float32)))
        assert payload == label(float32_tensor(floats(3.5)), b"score")

    def test_lengths_must_agree(self):
        with pytest.raises(ValueError, match="as many predicted labels as scores"):
            encode_scores(np.zeros(2, np.float32), np.zeros(1, np.float32))

    @staticmethod
    def payloads(data: bytes) -> list[bytes]:
        return [found.payload for found in iter_frames(data)]


def test_threads_decode_at_the_same_time():
    buffer = io.BytesIO()
    write_records(buffer, np.eye(50, dtype=np.float32), np.arange(50))
    results = []

    def decode() -> None:
        for _ in range(50):
            results.append(decode_records(buffer.getvalue(), feature_dim=50).labels.sum())

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [np.arange(50).sum()] * 200
