"""Names that a replayed submission may not use: an admission policy of its lab."""

from __future__ import annotations

import json
from typing import Any

import yaml

from autograders.connect import Api
from autograders.errors import InputError
from gpulab.paths import DATA
from gpulab.sending import send
from gpulab.sim.workloads import Catalogue
from gpulab.waiting import eventually

FILE = DATA / "replay" / "reserved-names.yaml"
ROOT = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
SECONDS = 30.0
"""Until the API server must follow the policy; usually it does within one."""
CANARY = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "gpulab-canary"},
}
"""What the policy must refuse."""


def reserve(admin: Api, user: str) -> None:
    """Make the policy, and see it refuse something to this user."""
    for each in objects():
        answer = send(admin, "POST", f"{ROOT}/{PLURALS[each['kind']]}", object=each)
        if not answer.is_success:
            raise InputError(f"the policy was not made: {answer.message}", "gpulab status")
    eventually(lambda: unheeded(admin, user), SECONDS, "gpulab check --replay again")


def objects() -> list[dict[str, Any]]:
    """The policy and its binding, with the images of what the simulator takes for NVIDIA's."""
    images = "|".join(Catalogue.load(DATA / "workloads").images_of_facts)
    written = json.dumps(images)[1:-1]  # as a string of CEL has it
    return list(yaml.safe_load_all(FILE.read_text().replace("$images", written)))


def unheeded(admin: Api, user: str) -> str | None:
    """Try what is refused, as a dry run with all rights, so that only the policy is in the way."""
    path, query = "/api/v1/namespaces/default/configmaps", {"dryRun": "All"}
    somebody = {"Impersonate-User": user, "Impersonate-Group": "system:masters"}
    answer = send(admin, "POST", path, query=query, object=CANARY, headers=somebody)
    return None if answer.status == 403 else f"no policy at work (HTTP {answer.status})"
