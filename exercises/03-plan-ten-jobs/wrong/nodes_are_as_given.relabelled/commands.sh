kubectl label nodes a100-1 a100-2 nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3 --overwrite
kubectl apply --filename jobs.yaml
