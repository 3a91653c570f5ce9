"""NVIDIA's GPU Operator, simulated: ClusterPolicy → labels and operands → status.

In reading order: operands.py (data); labels.py, policy.py, manifests.py and status.py decide,
plan.py puts that together; cache.py reads, controller.py writes. install.py is what Helm does.
"""
