from __future__ import annotations

import subprocess
import sys

from google.protobuf import descriptor_pool

from openfm.data.record_schema import Record

# The serialized FileDescriptorProto of the SDK's record.proto declares these fields.
FIELDS = {
    "Float32Tensor": [("values", 1), ("keys", 2), ("shape", 3)],
    "Float64Tensor": [("values", 1), ("keys", 2), ("shape", 3)],
    "Int32Tensor": [("values", 1), ("keys", 2), ("shape", 3)],
    "Bytes": [("value", 1), ("content_type", 2)],
    "Value": [("float32_tensor", 2), ("float64_tensor", 3), ("int32_tensor", 7), ("bytes", 9)],
    "Record": [("features", 1), ("label", 2), ("uid", 3), ("metadata", 4), ("configuration", 5)],
}


def test_fields():
    messages = Record.DESCRIPTOR.file.message_types_by_name
    assert {name: [(f.name, f.number) for f in message.fields] for name, message in messages.items()} == FIELDS
    for tensor in ("Float32Tensor", "Float64Tensor", "Int32Tensor"):
        assert all(field.GetOptions().packed for field in messages[tensor].fields)


def test_the_default_pool_stays_free_for_the_sdk():
    own = Record.DESCRIPTOR.file.serialized_pb
    default = descriptor_pool.DescriptorPool()
    default.AddSerializedFile(own)  # the names are not taken in another pool
    assert Record.DESCRIPTOR.file.pool is not descriptor_pool.Default()


def test_decoding_imports_neither_protobuf_nor_scipy():
    code = "import sys, openfm.data.records; print([m for m in ('google.protobuf', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
