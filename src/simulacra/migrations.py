"""Configs of earlier formats, brought to the newest one, with the names that their weights have.

Format 1 knew no parts: a model's prior, likelihood, networks and objective were words and numbers among its arguments,
and a condition was classes alone. In format 2 each network over pixels was a class of models of its own, and the
objective of a ladder three numbers. Format 3 had no body of a critic, games without penalties by default, and a
constant in scores whose differences alone count.
What a format said of a model is said here in terms of the next one; two models of format 1 whose networks have changed
since are refused, with the command that fits them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simulacra.errors import ModelFileError, cause

Json = dict[str, Any]
CHANGED = ("vqvae2", "multiscale-pixelrnn")  # their networks read coarser grids and small images otherwise now
PIXEL_NETWORKS = ("gated-pixelcnn", "pixelcnn", "pixelcnn++", "pixelsnail", "pixelrnn-row", "pixelrnn-diagonal")
LADDER_WEIGHTS = {"beta": "beta", "warmup": "kl_warmup", "free_bits": "free_bits"}  # an argument of elbo, what it was
GRIDS = 8  # of codes, at most


@dataclass(frozen=True)
class Migrated:
    """A config of the newest format.

    renamed: from the newest format back to the file's, of each step: the beginning of a tensor's name, and what it was.
    left_out: tensors that the file holds and the model no longer has, as meta tensors by name.
    """

    record: Json
    renamed: Sequence[Mapping[str, str]] = ()
    left_out: Mapping[str, Tensor] = field(default_factory=dict)

    def in_file(self, name: str) -> str:
        """The name that a tensor of the model has in the file."""
        for step in self.renamed:
            begins = next((now for now in step if name.startswith(now)), None)
            name = name if begins is None else step[begins] + name.removeprefix(begins)
        return name


def newest(record: Json, path: Path) -> Migrated:
    """A config of any format; one of the newest is returned as it is. Raises ModelFileError for what cannot be read."""
    migrated = Migrated(record)
    for number, step in ((1, _from_1), (2, _from_2), (3, _from_3)):
        if migrated.record.get("format") == number:
            try:
                later = step(migrated.record, path)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ModelFileError(f"{path} does not describe a model of format {number}: {cause(error)}") from error
            renamed = [*later.renamed, *migrated.renamed]
            migrated = Migrated(later.record, renamed, {**later.left_out, **migrated.left_out})
    return migrated


def of_run(record: Any, path: Path) -> Any:
    """The config that a run was begun with, in the newest format if its checkpoints can be continued: those of formats
    2 and 3 can, of a model whose tensors keep their names. Any other is returned as it is."""
    if not isinstance(record, Mapping) or record.get("format") not in (2, 3):
        return record
    migrated = newest(dict(record), path)
    return record if any(migrated.renamed) else migrated.record


def _from_1(record: Json, path: Path) -> Migrated:
    if set(record) != {"format", "type", "spec", "arguments"} or not isinstance(record["type"], str):
        raise ModelFileError(f"{path} is not a model config of format 1")
    name, arguments = record["type"], record["arguments"]
    if name in CHANGED:
        raise ModelFileError(
            f"{path} is of format 1, and the networks of {name} have changed since: fit it again with "
            f"`simulacra fit {name} DATA`"
        )
    recipe, spec = _RECIPES.get(name, _plain)(name, dict(arguments)), _spec(record["spec"])
    preset = "dcgan" if name == "dcgan" else None
    now = {"format": 2, "model": recipe, "preset": preset, "imports": [], "spec": spec}
    return Migrated(now, [_RENAMED.get(name, {})], _LEFT_OUT.get(name, {}))


def _from_2(record: Json, path: Path) -> Migrated:
    ((name, arguments),), preset, renamed = record["model"].items(), record["preset"], {}
    if name in PIXEL_NETWORKS:
        recipe, renamed = {"raster": {"network": {name: arguments}}}, {"network.": ""}
    elif name == "independent":
        recipe = {"markov": {"memory": 0, **arguments}}
    elif name == "ladder-vae":
        others = dict(arguments)
        weights = {now: others.pop(then) for now, then in LADDER_WEIGHTS.items()}
        recipe = {name: others | {"objective": {"elbo": weights}}}
    else:
        recipe, renamed = record["model"], _OWNED.get(name, {})
    if name not in recipe and preset is None:
        preset = name
    return Migrated(record | {"format": 3, "model": recipe, "preset": preset}, [renamed])


def _from_3(record: Json, path: Path) -> Migrated:
    ((name, arguments),) = record["model"].items()
    if name != "gan":
        return Migrated(record | {"format": 4})
    recipe = {name: {"penalties": [], "game": {"non-saturating": {}}, **arguments}}
    left_out = _BIAS if "wasserstein" in recipe[name]["game"] else {}
    return Migrated(record | {"format": 4, "model": recipe}, [_BODY], left_out)


def _spec(spec: Json) -> Json:
    shape, levels = spec["shape"], spec["levels"]
    x = {"real": {"shape": shape}} if levels is None else {"levels": {"shape": shape, "levels": levels}}
    condition = {
        name: {"class": {"count": own["count"], "names": own["names"]}} for name, own in spec["condition"].items()
    }
    return {"x": x, "condition": condition}


def _plain(name: str, arguments: Json) -> Json:
    return {name: arguments}


def _network(arguments: Json) -> Json:
    """The part that network, hidden, layers, width and dropout were, which are taken out of the arguments."""
    which, dropout = arguments.pop("network"), arguments.pop("dropout", 0.0)
    hidden, layers, width = (arguments.pop(key) for key in ("hidden", "layers", "width"))
    if which == "conv":
        return {"conv": {"width": width, "dropout": dropout}}
    return {"dense": {"hidden": hidden, "layers": layers, "dropout": dropout}}


def _likelihood(arguments: Json) -> Json | None:
    name, scale = arguments.pop("likelihood"), arguments.pop("scale", None)
    return None if name == "auto" and scale is None else {name: {"scale": scale} if name == "gaussian" else {}}


def _with_network(name: str, arguments: Json) -> Json:
    """Of autoencoder and m2: a network, and a likelihood where there is one."""
    changed: Json = {"network": _network(arguments)}
    if "likelihood" in arguments:
        changed["likelihood"] = _likelihood(arguments)
    return {name: arguments | changed}


def _vae(name: str, arguments: Json) -> Json:
    prior = {arguments.pop("prior"): _given(arguments, "components", "categories", "relaxation")}
    which, draws = arguments.pop("objective"), arguments.pop("draws")
    beta, warmup, free_bits = (arguments.pop(key) for key in ("beta", "kl_warmup", "free_bits"))
    weights = {"beta": beta, "warmup": warmup, "free_bits": free_bits}
    objective = {which: weights if which == "elbo" else {} if draws is None else {"draws": draws}}
    changed = {"network": _network(arguments), "likelihood": _likelihood(arguments)}
    return {name: arguments | changed | {"prior": prior, "objective": objective}}


def _given(arguments: Json, *names: str) -> Json:
    """Those of the arguments that are not None; all of them are taken out."""
    return {name: value for name in names if (value := arguments.pop(name)) is not None}


def _ladder(name: str, arguments: Json) -> Json:
    changed = _given(arguments, "width", "hidden", "latent")
    blocks = arguments.pop("blocks")
    size = {arguments.pop("size"): changed | ({} if blocks is None else {"layers": [blocks]})}
    return {name: arguments | {"size": size, "likelihood": _likelihood(arguments)}}


def _matched(name: str, arguments: Json) -> Json:
    critic = {"critic_hidden": arguments["hidden"]} if name == "aae" else {}
    changed = {"network": _network(arguments), "likelihood": _likelihood(arguments)}
    return {name: arguments | changed | critic | {"prior": {arguments["prior"]: {}}}}


def _vqvae(name: str, arguments: Json) -> Json:
    width, layers = arguments.pop("prior_width"), arguments.pop("prior_layers")
    prior = {"gated-pixelcnn": {"width": width, "layers": layers, "dropout": arguments.pop("dropout")}}
    return {name: arguments | {"prior": prior, "likelihood": _likelihood(arguments)}}


def _dcgan(name: str, arguments: Json) -> Json:
    networks = {"dcgan": {"width": arguments["width"]}}
    return {"gan": {"latent": arguments["latent"], "generator": networks, "critic": networks}}


_RECIPES: dict[str, Callable[[str, Json], Json]] = {
    "autoencoder": _with_network,
    "m2": _with_network,
    "vae": _vae,
    "ladder-vae": _ladder,
    "wae-mmd": _matched,
    "aae": _matched,
    "vqvae": _vqvae,
    "dcgan": _dcgan,
}
_LAST = {"last.": "tell."}
_ROWS = _LAST | {"conditions.": "teller.", "above_features.": "tell_above."}
_RENAMED = {
    **dict.fromkeys(("pixelcnn", "gated-pixelcnn", "pixelcnn++", "pixelsnail"), _LAST),
    **dict.fromkeys(("pixelrnn-row", "pixelrnn-diagonal"), _ROWS),
    "ladder-vae": {"decoder.last.": "decoder.tell."},
    "vqvae": {f"code_prior.grids.{i}.last.": f"code_prior.grids.{i}.tell." for i in range(GRIDS)},
    "dcgan": {
        "generator.beside.vectors.": "generator.classes.",
        "critic.head.vectors.": "critic.classes.",
        "critic.head.score.": "critic.score.",
    },
}
_OWNED = {  # chains over pixels that own a network since
    "multiscale-pixelrnn": {f"{size}.network.": f"{size}." for size in ("large", "small")},
    "vqvae": {f"code_prior.grids.{i}.network.": f"code_prior.grids.{i}." for i in range(GRIDS)},
}
_BODY = {"critic.body.": "critic."}
_BIAS = {"critic.head.score.bias": torch.zeros(1, device="meta")}  # of scores that mean nothing by themselves
_COUNT = torch.zeros((), dtype=torch.int64, device="meta")  # of the calls by which a warm-up was counted
_LEFT_OUT = {"vae": {"warmth.done": _COUNT}, "ladder-vae": {"warmth.done": _COUNT}}
