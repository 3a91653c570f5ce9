kubectl replace --force --filename pod.yaml
