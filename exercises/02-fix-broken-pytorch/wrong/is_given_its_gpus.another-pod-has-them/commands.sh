kubectl replace --force --filename pod.yaml
kubectl apply --filename beside.yaml
