"""Bytes to rows and back: recordIO framing, protobuf records, channels, mini-batches."""
