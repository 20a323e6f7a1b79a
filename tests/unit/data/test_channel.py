from __future__ import annotations

import os
from pathlib import Path

import pytest

from openfm.data.channel import find_channel
from openfm.errors import ChannelError

NAMES = ("train", "training")


@pytest.fixture
def data_dir(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def put(path: Path, content: bytes = b"data") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(channel) -> list[str]:
    return [file.relative_to(channel.path).as_posix() for file in channel.files]


def test_no_channel(data_dir):
    assert find_channel(data_dir, NAMES) is None
    assert find_channel(data_dir / "missing", NAMES) is None


def test_aliases_in_order(data_dir):
    put(data_dir / "training/part-0")
    assert find_channel(data_dir, NAMES).name == "training"
    put(data_dir / "train/part-0")
    channel = find_channel(data_dir, NAMES)
    assert (channel.name, channel.path) == ("train", data_dir / "train")


def test_files_in_the_order_of_their_paths_below_the_channel(data_dir):
    for name in ("b", "a/z", "a/b/c/d/e", "a.x", "10", "9", "B"):
        put(data_dir / "train" / name)
    assert names(find_channel(data_dir, NAMES)) == ["10", "9", "B", "a.x", "a/b/c/d/e", "a/z", "b"]


def test_a_single_file_at_the_channels_path(data_dir):
    file = put(data_dir / "train")
    assert find_channel(data_dir, NAMES).files == (file,)


def test_the_file_systems_own_folder_is_not_entered(data_dir, monkeypatch):
    put(data_dir / "train/part-0")
    (data_dir / "train/lost+found").mkdir()
    iterdir = Path.iterdir

    def refuse(path):
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert names(find_channel(data_dir, NAMES)) == ["part-0"]
    (data_dir / "train/part-0").unlink()
    with pytest.raises(ChannelError, match=r"skipped lost\+found \(the file system's\)"):
        find_channel(data_dir, NAMES)


def test_what_is_no_data_is_skipped(data_dir):
    folder = data_dir / "train"
    put(folder / "part-0")
    for name in (".hidden", "_SUCCESS", "sub/_SUCCESS", "x.manifest", "train-manifest", ".ipynb_checkpoints/part-0"):
        put(folder / name)
    put(folder / "empty", b"")
    put(data_dir / "train-manifest")  # SageMaker's own, beside the channel
    os.mkfifo(folder / "pipe")
    (folder / "broken").symlink_to("nowhere")
    assert names(find_channel(data_dir, NAMES)) == ["part-0"]


def test_links_to_files_and_folders(data_dir, tmp_path):
    put(tmp_path / "elsewhere/b/part-1")
    put(tmp_path / "single")
    (data_dir / "train").mkdir()
    (data_dir / "train/folder").symlink_to(tmp_path / "elsewhere")
    (data_dir / "train/file").symlink_to(tmp_path / "single")
    assert names(find_channel(data_dir, NAMES)) == ["file", "folder/b/part-1"]


def test_the_channel_itself_may_be_a_link(data_dir, tmp_path):
    put(tmp_path / "real/part-0")
    (data_dir / "train").symlink_to(tmp_path / "real")
    assert names(find_channel(data_dir, NAMES)) == ["part-0"]
    put(tmp_path / "file")
    (data_dir / "test").symlink_to(tmp_path / "file")
    assert find_channel(data_dir, ("test",)).files == (data_dir / "test",)


def test_a_circle_of_links_ends(data_dir):
    put(data_dir / "train/sub/part-0")
    (data_dir / "train/sub/up").symlink_to(data_dir / "train")
    assert names(find_channel(data_dir, NAMES)) == ["sub/part-0"]


def test_one_folder_linked_twice_is_read_twice(data_dir, tmp_path):
    put(tmp_path / "real/part-0")
    (data_dir / "train").mkdir()
    for name in ("first", "second"):
        (data_dir / "train" / name).symlink_to(tmp_path / "real")
    assert names(find_channel(data_dir, NAMES)) == ["first/part-0", "second/part-0"]


def test_nothing_there(data_dir):
    (data_dir / "train").mkdir()
    with pytest.raises(ChannelError) as error:
        find_channel(data_dir, NAMES)
    assert error.value.message == (
        f"Data channel 'train' ('{data_dir}/train') holds no data. Put files of records there."
    )


def test_nothing_left_names_what_was_skipped(data_dir):
    put(data_dir / "train/sub/empty", b"")
    put(data_dir / "train/.git/config")
    put(data_dir / "train/_SUCCESS")
    put(data_dir / "train/a.manifest")
    os.mkfifo(data_dir / "train/pipe")
    with pytest.raises(ChannelError) as error:
        find_channel(data_dir, NAMES)
    assert (
        "holds no data: skipped .git (hidden), _SUCCESS (a marker), a.manifest (a manifest), pipe (no regular file), "
        "sub/empty (empty). Put files"
    ) in error.value.message


def test_many_skipped_files_are_counted(data_dir):
    for i in range(8):
        put(data_dir / f"train/empty-{i}", b"")
    with pytest.raises(ChannelError, match=r"empty-4 \(empty\) and 3 more\. Put files"):
        find_channel(data_dir, NAMES)


def test_an_empty_file_or_broken_link_as_the_channel(data_dir):
    put(data_dir / "train", b"")
    with pytest.raises(ChannelError, match=r"holds no data: skipped train \(empty\)"):
        find_channel(data_dir, NAMES)
    (data_dir / "test").symlink_to("nowhere")
    with pytest.raises(ChannelError, match=r"skipped test \(a broken link\)"):
        find_channel(data_dir, ("test",))


def test_an_unreadable_folder(data_dir, monkeypatch):
    put(data_dir / "train/part-0")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)  # modes do not stop root, as which containers run
    with pytest.raises(ChannelError, match=r"data channel 'train'\. Cannot read '.*/train': Permission denied"):
        find_channel(data_dir, NAMES)
