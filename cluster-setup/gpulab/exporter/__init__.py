"""What NVIDIA's dcgm-exporter serves: a sample of every GPU, in Prometheus' text format.

`series` has the names, `occupancy` says which container makes which load on which GPU, `gather`
puts a node's samples together; `__main__` is a process that follows a cluster and serves them all.
"""
