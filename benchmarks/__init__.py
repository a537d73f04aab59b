"""What the engine is measured by: `python -m benchmarks`, or `pytest benchmarks`."""
