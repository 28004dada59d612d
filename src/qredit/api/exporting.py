"""`qredit export`: a credit function as one file of plain torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import qredit
from qredit.api.artifacts import load_named, own_layout
from qredit.artifact import CREDIT_GRAPH, Artifact
from qredit.errors import ArtifactError, ConfigurationError
from qredit.files import write_atomic


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    artifact: Artifact
    """What it was made of."""
    path: Path
    """The file."""
    class_name: str
    """The `nn.Module` in it."""
    form: str
    """`weights`, `general` or `shares`."""
    torch_version: str
    """The first version of torch that has all that it calls, such as `1.10`."""


def export_torch(source: str, path: Path, *, class_name: str = "CreditMixer", force: bool = False) -> Exported:
    """Write the credit graph of an artifact as a module that imports torch and the standard library only.

    Args:
        source: folder of an artifact or of a run, name of a run, or a task whose artifact ships with qredit.
        path: the file to write.
        class_name: name of the `nn.Module`.
        force: whether to replace a file that is there.

    Raises:
        UnknownNameError: no such artifact.
        ArtifactError: it is damaged or forged, or no credit function.
        ConfigurationError: the file is there, the class name cannot be used, or the function's form has no export.
        StorageError: disk full or no permission; what was there stays.
    """
    from qredit.credit import parse_graph
    from qredit.credit.plain_torch import Origin, check_class_name, plain_torch

    check_class_name(class_name)
    if path.exists() and not force:
        raise ConfigurationError(
            f"`{path}`", cause="it is there already", remedy="Name another file, or replace it with `--force`."
        )
    artifact = load_named(source)
    if artifact.kind != "credit":
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its kind is `{artifact.kind}`, only `credit` is a function of tensors",
            remedy="Give an artifact with a function `credit`, `tfcaf` or `share`.",
        )
    graph = parse_graph(artifact.files[CREDIT_GRAPH])
    layout = own_layout(artifact)
    if layout is not None and graph.header.form == "shares":
        layout = layout.transition(graph.header.n_agents, n_actions=1)  # how many there are, no artifact says
    if layout is not None and layout.size != graph.header.state_size:
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its layout has {layout.size} numbers, its function reads {graph.header.state_size}",
            remedy="Copy or generate the artifact again.",
        )
    origin = Origin(artifact.task, artifact.manifest["files"][CREDIT_GRAPH], qredit.__version__)
    plain = plain_torch(graph, layout, origin, class_name=class_name)
    write_atomic(path, plain.text.encode())
    version = ".".join(map(str, plain.torch_version))
    return Exported(artifact, path, class_name, graph.header.form, version)
