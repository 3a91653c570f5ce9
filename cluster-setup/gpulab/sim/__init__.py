"""The simulated kubelets: the only writer of a simulated Pod's status.

Read in this order: `nodes` (what a kubelet registers), `pod` (one Pod's life), `program` and
`workloads` (what its containers do), `server` (kubectl logs and exec), `kubelet` (all together).
"""
