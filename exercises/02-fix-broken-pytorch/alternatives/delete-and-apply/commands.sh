kubectl delete pods --all --namespace gpu-access --now
kubectl apply --filename pod.yaml
