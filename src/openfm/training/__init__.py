"""The training job: contract and data in, model out."""
