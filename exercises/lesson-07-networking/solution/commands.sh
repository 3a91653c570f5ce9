kubectl replace --force --filename network.yaml
