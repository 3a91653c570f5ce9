"""The command line's root, to which the modules of commands add theirs."""

from __future__ import annotations

import typer

from gpulab.cli.checkpoint_options import checkpoints
from gpulab.cli.metrics_options import metrics

app = typer.Typer(
    help="Kubernetes for AI infrastructure: a lab with simulated GPU nodes, exercises, grading.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(checkpoints, name="checkpoint", no_args_is_help=True)
app.add_typer(metrics, name="metrics", no_args_is_help=True)
