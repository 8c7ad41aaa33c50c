"""Runners: one process, one card, one seed with one library; each prints one JSON line.

``python -m benchmarks.peers.sb3 ppo/cartpole --seed 0 --threads 1 --out FOLDER`` in the library's own virtual
environment (``make bench-install``). A runner uses its library as that library's documentation shows it.
"""
