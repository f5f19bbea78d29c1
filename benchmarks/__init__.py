"""What each operation costs beside raw SQLite, measured in one run: ``python -m benchmarks``."""
