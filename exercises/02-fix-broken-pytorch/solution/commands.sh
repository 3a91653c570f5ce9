kubectl delete pods --selector app=customer --namespace gpu-access --now
kubectl apply --filename pod.yaml
