"""The protobuf schema ``aialgs.data`` (proto2) of SageMaker's records, and its message class.

It is built at run time in a descriptor pool of its own. So it works with every protobuf from 4.25 on, where generated
code is tied to a version, and it lives in one process with the SageMaker SDK's ``record_pb2``, which registers the
same names in the default pool. Source: ``record.proto`` of the SageMaker Python SDK and "Common data formats for
training" in the SageMaker developer guide.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

__all__ = ["Record"]

_PACKAGE = "aialgs.data"
_OPTIONAL = FieldDescriptorProto.LABEL_OPTIONAL
_REPEATED = FieldDescriptorProto.LABEL_REPEATED


def _file() -> FileDescriptorProto:
    """The schema, in the form that protoc would compile record.proto to."""
    file = descriptor_pb2.FileDescriptorProto(name="openfm/record.proto", package=_PACKAGE, syntax="proto2")
    _add_tensor(file, "Float32Tensor", FieldDescriptorProto.TYPE_FLOAT)
    _add_tensor(file, "Float64Tensor", FieldDescriptorProto.TYPE_DOUBLE)
    _add_tensor(file, "Int32Tensor", FieldDescriptorProto.TYPE_INT32)

    data = file.message_type.add(name="Bytes")
    data.field.add(name="value", number=1, label=_REPEATED, type=FieldDescriptorProto.TYPE_BYTES)
    _add_string(data, "content_type", 2)

    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for name, number, kind in (
        ("float32_tensor", 2, "Float32Tensor"),
        ("float64_tensor", 3, "Float64Tensor"),
        ("int32_tensor", 7, "Int32Tensor"),
        ("bytes", 9, "Bytes"),
    ):
        _add_message(value, name, number, kind, oneof_index=0)

    record = file.message_type.add(name="Record")
    _add_map(record, "features", 1, "FeaturesEntry")
    _add_map(record, "label", 2, "LabelEntry")
    for number, name in enumerate(("uid", "metadata", "configuration"), start=3):
        _add_string(record, name, number)
    return file


def _add_tensor(file: FileDescriptorProto, name: str, value_type: FieldDescriptorProto.Type.ValueType) -> None:
    tensor = file.message_type.add(name=name)
    uint64 = FieldDescriptorProto.TYPE_UINT64
    for number, (field, kind) in enumerate((("values", value_type), ("keys", uint64), ("shape", uint64)), start=1):
        added = tensor.field.add(name=field, number=number, label=_REPEATED, type=kind)
        added.options.packed = True


def _add_string(message: DescriptorProto, name: str, number: int) -> None:
    message.field.add(name=name, number=number, label=_OPTIONAL, type=FieldDescriptorProto.TYPE_STRING)


def _add_message(message: DescriptorProto, name: str, number: int, kind: str, **options: Any) -> None:
    message.field.add(
        name=name,
        number=number,
        label=options.pop("label", _OPTIONAL),
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{kind}",
        **options,
    )


def _add_map(record: DescriptorProto, name: str, number: int, entry_name: str) -> None:
    """``map<string, Value>``: a repeated message of key and value."""
    entry = record.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    _add_string(entry, "key", 1)
    _add_message(entry, "value", 2, "Value")
    _add_message(record, name, number, f"Record.{entry_name}", label=_REPEATED)


def _message_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Record"))


Record: Any = _message_class()
"""The message class ``aialgs.data.Record``; a class made at run time has no type that mypy could know."""
