"""gpulab: a real Kubernetes control plane with simulated GPU nodes, for learning and grading."""
