"""Benchmarks: each job beside its physical limit, both in the same run, alternating."""
