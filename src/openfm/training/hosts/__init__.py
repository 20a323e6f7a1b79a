"""Training on several hosts, step by step together."""
