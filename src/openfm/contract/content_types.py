"""What a channel's ContentType says of its files.

Records in recordIO-protobuf are what the built-in algorithm takes. The others are openfm's own:

``text/csv``, ``text/csv; label_size=1``
    Comma-separated numbers without a header; the first column is the label.
``text/libsvm; index-base=0``, ``text/libsvm; index-base=1``
    libsvm text, whose first feature is number 0 or 1.
``application/x-parquet``
    Parquet; the first column is the label.

CSV and Parquet may name the column of the records' weights: ``text/csv; weight=1`` by its number, counted from 0, and
``application/x-parquet; weight=exposure`` by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openfm.errors import ChannelError

__all__ = ["CONTENT_TYPES", "ContentType"]

_RECORDS = (
    "application/x-recordio-protobuf",
    "application/octet-stream",
    "binary/octet-stream",
)
"""The last two, which S3 gives to unlabelled bytes, say nothing else."""

CONTENT_TYPES = (
    *_RECORDS,
    "text/csv",
    "text/libsvm; index-base=0",
    "text/libsvm; index-base=1",
    "application/x-parquet",
)
"""Content types of channels of records; the first is what is taken for granted where none is given."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A channel's content type.

    Attributes:
        format: ``recordio``, ``csv``, ``libsvm`` or ``parquet``.
        index_base: libsvm: the number of the first feature.
        weight: csv, parquet: the column of the records' weights, by number from 0 or by name; None: there is none.
    """

    format: str = "recordio"
    index_base: int | None = None
    weight: str | int | None = None

    @classmethod
    def parse(cls, stated: str | None, channel: str) -> ContentType:
        """Read what a job states; nothing means records.

        Raises:
            ChannelError: it is not supported, or a parameter of it is missing or wrong.
        """
        media_type, *parts = [part.strip() for part in (stated or "").split(";")]
        media_type = media_type.lower()
        if not media_type or media_type in _RECORDS:
            return cls()
        if media_type not in _PARSERS:
            raise ChannelError(
                f"Unable to read data channel '{channel}'. Requested content-type is '{stated}'. Please verify the "
                f"data matches the requested content-type. The algorithm reads '{_RECORDS[0]}', and also 'text/csv', "
                "'text/libsvm; index-base=0', 'text/libsvm; index-base=1' and 'application/x-parquet'."
            )
        parameters = {}
        for part in filter(None, parts):
            name, _, value = part.partition("=")
            parameters[name.strip().lower()] = value.strip().strip('"')
        if media_type.startswith("text/") and parameters.get("charset", "").lower() in {"utf-8", "us-ascii"}:
            del parameters["charset"]
        content_type = _PARSERS[media_type](parameters, channel)
        if parameters:
            name, value = next(iter(parameters.items()))
            raise ChannelError(
                f"The content type '{stated}' of channel '{channel}' has the parameter '{name}={value}', which is not "
                "known. Leave it out."
            )
        return content_type


def _csv(parameters: dict[str, str], channel: str) -> ContentType:
    label_size = parameters.pop("label_size", "1")
    if label_size != "1":
        raise ChannelError(
            f"Channel '{channel}' states text/csv with label_size={label_size}, but every row needs one label, in the "
            "first column. Write text/csv;label_size=1."
        )
    weight = parameters.pop("weight", None)
    if weight is not None and not (weight.isascii() and weight.isdigit() and len(weight) < 10 and int(weight) > 0):
        raise ChannelError(
            f"Channel '{channel}' states text/csv with weight={weight:.60}, but weight is the number of the weights' "
            "column, counted from 0, and the first column is the label. Write text/csv;weight=1 for the second one."
        )
    return ContentType("csv", weight=None if weight is None else int(weight))


def _libsvm(parameters: dict[str, str], channel: str) -> ContentType:
    base = parameters.pop("index-base", None)
    if base not in {"0", "1"}:
        found = "without an index base" if base is None else f"with index-base={base}"
        raise ChannelError(
            f"Channel '{channel}' states text/libsvm {found}: such files count features from 0 or from 1, and do not "
            "tell which. Write 'text/libsvm; index-base=0' or 'text/libsvm; index-base=1'."
        )
    return ContentType("libsvm", int(base))


def _parquet(parameters: dict[str, str], channel: str) -> ContentType:
    return ContentType("parquet", weight=parameters.pop("weight", None))


_PARSERS: dict[str, Callable[[dict[str, str], str], ContentType]] = {
    "text/csv": _csv,
    "text/libsvm": _libsvm,
    "application/x-parquet": _parquet,
}
"""By media type. Each takes the parameters that it knows out of the dictionary."""
