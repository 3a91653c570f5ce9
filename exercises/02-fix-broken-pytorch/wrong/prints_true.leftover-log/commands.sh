kubectl apply --filename proof.yaml
kubectl wait pod/proof --for=jsonpath={.status.phase}=Succeeded --timeout=60s --namespace gpu-access
kubectl delete pod/proof --namespace gpu-access --now
kubectl replace --force --filename pod.yaml
