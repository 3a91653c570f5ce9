def main() -> None:
    print("gpulab")
