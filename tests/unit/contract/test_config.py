"""The configuration files: what is tolerated, and what is refused in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openfm.contract.config import InputDataConfig, ResourceConfig, read_hyperparameters
from openfm.errors import ChannelError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.json"


def channels(path: Path, **content: object) -> InputDataConfig:
    path.write_text(json.dumps(content))
    return InputDataConfig.read(path)


def resources(path: Path, **content: object) -> ResourceConfig:
    path.write_text(json.dumps(content))
    return ResourceConfig.read(path)


def test_every_file_is_optional(path: Path) -> None:
    assert read_hyperparameters(path) == {}
    assert InputDataConfig.read(path).channels == {}
    assert ResourceConfig.read(path) == ResourceConfig(current_host="algo-1", hosts=("algo-1",))


def test_hyperparameters_are_read_as_they_are(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"epochs": "10", "bias_lr": 0.5, "x": null}')
    assert read_hyperparameters(path) == {"epochs": "10", "bias_lr": 0.5, "x": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON: Expecting value at line 1 column 1"),
        (b'{"a": 1,\n "b" 2}', "is not valid JSON: Expecting ':' delimiter at line 2 column 6"),
        (b'{"a": "\xff"}', "is not UTF-8 text: invalid byte at position 7"),
        (b"[1]", "holds a JSON array, but an object"),
        (b"null", "holds a JSON null, but an object"),
        (b"true", "holds a JSON boolean, but an object"),
        (b"1.5", "holds a JSON number, but an object"),
        (b'"a"', "holds a JSON string, but an object"),
        (b"[" * 200_000, "cannot be read as JSON: "),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read as JSON: Exceeds the limit"),
    ],
)
def test_a_broken_file_is_named_with_the_place(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    for read in (read_hyperparameters, InputDataConfig.read, ResourceConfig.read):
        with pytest.raises(ChannelError) as caught:
            read(path)
        assert caught.value.message.startswith(f"{path} {message}")
        assert caught.value.message.endswith("Correct the file.")


def test_a_folder_in_a_files_place_is_explained(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ChannelError, match="is a folder, but a file is needed"):
        read_hyperparameters(path)


def test_channels_of_a_real_job(path: Path) -> None:
    config = channels(
        path,
        train={
            "ContentType": "application/x-recordio-protobuf",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        },
        test={"TrainingInputMode": "FastFile", "RecordWrapperType": "RecordIO", "New": [1]},
    )
    assert list(config.channels) == ["train", "test"]
    assert config.channels["train"].content_type == "application/x-recordio-protobuf"
    assert config.channels["test"].content_type is None
    assert config.remarks() == []


@pytest.mark.parametrize(
    "channel",
    [
        {},
        None,
        {"ContentType": None, "TrainingInputMode": None},
        {"ContentType": ""},
        {"ContentType": "application/octet-stream"},
        {"ContentType": "binary/octet-stream"},
        {"ContentType": " Application/X-RecordIO-Protobuf; version=1.0"},
        {"TrainingInputMode": "file"},
    ],
)
def test_sparing_channels_are_fine(path: Path, channel: object) -> None:
    assert list(channels(path, training=channel).channels) == ["training"]


@pytest.mark.parametrize("name", ["train", "training", "test", "validation"])
def test_other_content_types_are_refused_in_amazons_words(path: Path, name: str) -> None:
    with pytest.raises(ChannelError) as caught:
        channels(path, **{name: {"ContentType": "application/json; charset=utf-8"}})
    assert caught.value.message == (
        f"Unable to read data channel '{name}'. Requested content-type is 'application/json; charset=utf-8'. Please "
        "verify the data matches the requested content-type. The algorithm reads 'application/x-recordio-protobuf', "
        "and also 'text/csv', 'text/libsvm; index-base=0', 'text/libsvm; index-base=1' and 'application/x-parquet'."
    )


@pytest.mark.parametrize(
    ("stated", "format", "index_base"),
    [
        (None, "recordio", None),
        ("binary/octet-stream", "recordio", None),
        ("text/csv", "csv", None),
        ("Text/CSV;label_size=1;charset=UTF-8", "csv", None),
        ("text/libsvm; index-base=0", "libsvm", 0),
        ('text/libsvm;Index-Base="1"', "libsvm", 1),
        ("application/x-parquet", "parquet", None),
    ],
)
def test_content_types_say_how_to_read(path: Path, stated: str | None, format: str, index_base: int | None) -> None:
    content_type = channels(path, train={"ContentType": stated}).content_type("train")

    assert (content_type.format, content_type.index_base) == (format, index_base)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("text/csv;label_size=0", "every row needs one label, in the first column. Write text/csv;label_size=1"),
        ("text/csv; header=present", "has the parameter 'header=present', which is not known. Leave it out"),
        (
            "text/libsvm",
            "text/libsvm without an index base.*Write 'text/libsvm; index-base=0' or 'text/libsvm; index-base=1'",
        ),
        ("text/libsvm; index-base=2", "text/libsvm with index-base=2: such files count"),
        ("application/x-parquet; target=y", "has the parameter 'target=y', which is not known"),
    ],
)
def test_parameters_of_content_types_are_checked(path: Path, stated: str, message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        channels(path, test={"ContentType": stated})


def test_channels_in_pipe_mode(path: Path) -> None:
    config = channels(
        path,
        train={"TrainingInputMode": "Pipe", "RecordWrapperType": "RecordIO"},
        validation={"TrainingInputMode": "pipe"},
        test={"TrainingInputMode": "File"},
        training={},
    )
    assert config.pipe_channels == {"train", "validation"}


@pytest.mark.parametrize("name", ["train", "training", "test", "validation", "model"])
def test_other_input_modes_are_refused(path: Path, name: str) -> None:
    with pytest.raises(ChannelError, match=f"Channel '{name}' asks for TrainingInputMode 'Stream'"):
        channels(path, **{name: {"TrainingInputMode": "Stream"}})


def test_a_model_comes_as_a_file_of_any_content_type(path: Path) -> None:
    assert channels(path, model={"ContentType": "application/x-sagemaker-model"}).remarks() == []
    with pytest.raises(ChannelError, match="openfm reads it in the modes File, FastFile only"):
        channels(path, model={"TrainingInputMode": "Pipe"})


def test_other_channels_are_left_alone_with_a_remark(path: Path) -> None:
    config = channels(
        path,
        valid={"ContentType": "text/csv"},
        code={"TrainingInputMode": "Pipe"},
        train={},
    )
    assert config.remarks() == [
        f"Channel '{name}' is not used: the algorithm reads 'train', 'validation', 'test' and 'model'."
        for name in ("code", "valid")
    ]


@pytest.mark.parametrize(
    ("channel", "place"),
    [("File", "train"), ({"ContentType": 7}, "train.ContentType")],
)
def test_a_channel_of_the_wrong_kind_is_named(path: Path, channel: object, place: str) -> None:
    with pytest.raises(ChannelError, match=f"wrong kind of value at {place}: "):
        channels(path, train=channel)


@pytest.mark.parametrize(
    ("content", "current", "hosts"),
    [
        ({}, "algo-1", ("algo-1",)),
        ({"current_host": None, "hosts": None}, "algo-1", ("algo-1",)),
        ({"current_host": "algo-1-x7fk2"}, "algo-1-x7fk2", ("algo-1-x7fk2",)),
        ({"hosts": ["algo-1-x7fk2"]}, "algo-1-x7fk2", ("algo-1-x7fk2",)),
        ({"current_host": "a", "hosts": []}, "a", ("a",)),
        (
            {
                "current_host": "sagemaker-local",
                "hosts": ["sagemaker-local"],
                "network_interface_name": "ethwe",
                "instance_groups": [{"hosts": ["sagemaker-local"]}],
                "topology": None,
            },
            "sagemaker-local",
            ("sagemaker-local",),
        ),
    ],
)
def test_one_host(path: Path, content: dict[str, object], current: str, hosts: object) -> None:
    config = resources(path, **content)
    assert (config.current_host, config.hosts) == (current, hosts)


@pytest.mark.parametrize(("host", "rank"), [("algo-1", 0), ("algo-10", 1), ("algo-2", 2)])
def test_the_rank_is_the_index_in_the_sorted_hosts(path: Path, host: str, rank: int) -> None:
    config = resources(path, current_host=host, hosts=["algo-2", "algo-10", "algo-1", "algo-2"])
    assert config.hosts == ("algo-1", "algo-10", "algo-2")
    assert config.rank == rank


@pytest.mark.parametrize("current", [None, "algo-3"])
def test_a_host_that_is_none_of_several_is_refused(path: Path, current: str | None) -> None:
    with pytest.raises(ChannelError, match=r"which is none of its hosts algo-2, algo-4\. Correct the file\."):
        resources(path, current_host=current, hosts=["algo-4", "algo-2"])


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"current_host": "two words"}, "current_host"),
        ({"current_host": 1}, "current_host"),
        ({"hosts": "algo-1"}, "hosts"),
        ({"hosts": [""]}, "hosts.0"),
    ],
)
def test_a_host_that_is_no_name_is_refused(path: Path, content: dict[str, object], place: str) -> None:
    with pytest.raises(ChannelError, match=f"wrong kind of value at {place}: "):
        resources(path, **content)
