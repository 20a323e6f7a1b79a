"""One module per content type of /invocations: decode bytes to rows, encode predictions to
bytes."""
