"""Nodes as they were before somebody relabelled or cordoned them."""

from __future__ import annotations

from typing import Any

from autograders.connect import Api
from gpulab.sending import MERGE, send

NODES = "/api/v1/nodes"
State = dict[str, dict[str, Any]]
"""Node -> its labels, and whether it is cordoned."""


def of(api: Api) -> State:
    found = send(api, "GET", NODES).object.get("items") or ()
    return {
        each["metadata"]["name"]: {
            "metadata": {"labels": each["metadata"].get("labels") or {}},
            "spec": {"unschedulable": each["spec"].get("unschedulable")},
        }
        for each in found
    }


def put_back(api: Api, before: State) -> None:
    """Undo what has changed since; nodes that came or went are not our business."""
    for name, now in of(api).items():
        if name in before and now != before[name]:
            new = dict.fromkeys(
                now["metadata"]["labels"].keys() - before[name]["metadata"]["labels"]
            )
            labels = {**before[name]["metadata"]["labels"], **new}
            change = {**before[name], "metadata": {"labels": labels}}
            send(api, "PATCH", f"{NODES}/{name}", object=change, kind=MERGE)
