"""The mathematics of Factorization Machines: arrays in, arrays out; no files, no environment, no HTTP."""
