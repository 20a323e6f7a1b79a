"""Speed, memory and their limits, measured beside other programs in one run; ``python -m benchmarks`` runs it."""
