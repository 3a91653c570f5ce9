kubectl label pods --all ticket=solved --namespace gpu-access
