"""The model artifact model_algo-1: Amazon's own format, read and written without MXNet."""
