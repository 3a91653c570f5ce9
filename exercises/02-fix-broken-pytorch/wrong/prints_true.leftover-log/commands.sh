kubectl apply --filename proof.yaml
kubectl wait pod/proof --for=jsonpath={.status.phase}=Succeeded --timeout=60s --namespace gpu-access
kubectl delete pods --all --namespace gpu-access --now
kubectl apply --filename pod.yaml
