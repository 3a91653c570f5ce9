"""The kubelets' server: what kubectl's verbs reach through the API server, and the metrics API."""

from gpulab.sim.server.app import serve

__all__ = ["serve"]
