"""Late-interaction networks from the layouts in which they are published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recross.checkpoints import pretrained
from recross.checkpoints.json_files import read_json
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.late_layouts import ChainLayout
from recross.checkpoints.location import find_file
from recross.checkpoints.module_folder import ModuleFolder, read_modules
from recross.checkpoints.multi_vector import (
    Projection,
    draw_projection,
    is_multi_vector,
    load_projection,
    read_late_contract,
)
from recross.checkpoints.pretrained import Fresh, Pretrained
from recross.checkpoints.resolution import CONTRACT_FILE, resolve_contract
from recross.checkpoints.source import read_family
from recross.errors import InputError
from recross.inference.encoders.families import find_encoder
from recross.inference.late_interaction.network import LateInteractionNetwork

Given = str | LateInteractionContract | None


def load_network(
    checkpoint: str, given: Given, layers: int | None = None, fresh: Fresh | None = None
) -> LateInteractionNetwork:
    """Load a network from a chain of modules, or from ColBERT's own layout.

    A ``given`` contract, or its name, comes before the one that belongs to the checkpoint;
    ``layers`` keeps only the first ones. With ``fresh`` any encoder will do: a linear layer that it
    lacks is drawn.

    Raises:
        InputError: there is no such checkpoint, it cannot be read here, or it has no contract.
    """
    _refuse_own_code(checkpoint)
    chain = read_modules(checkpoint)
    if chain is not None and is_multi_vector(chain):
        return _load_chain(chain, given, layers)
    if fresh is not None and read_family(checkpoint) != "bert":
        return _load_bare(checkpoint, given, layers, fresh)
    return _load_stanford(checkpoint, given, layers, fresh)


def _refuse_own_code(checkpoint: str) -> None:
    path = find_file(checkpoint, "config.json")
    own = (read_json(path).get("auto_map") or {}).get("AutoModel") if path is not None else None
    if own is not None:
        raise InputError(
            "checkpoint must be of an architecture that transformers has, for no code of a"
            f" checkpoint is run here, got {checkpoint!r}, which brings {own}"
        )


def _load_chain(chain: ModuleFolder, given: Given, layers: int | None) -> LateInteractionNetwork:
    """A chain's own modules say how it scores, unless it is told, or was trained here."""
    checkpoint = chain.checkpoint
    projection = load_projection(chain)
    encoder = pretrained.load("encoder", checkpoint, layers=layers)
    width = projection.width(encoder.config.hidden_size)
    if given is None and not Path(checkpoint, CONTRACT_FILE).is_file():
        positions = find_encoder(encoder.config).positions(encoder.model)
        given = read_late_contract(chain, encoder.tokenizer, width, positions)
    contract = resolve_contract(checkpoint, given, LateInteractionContract)
    if contract.dimension != width:
        raise InputError(
            f"dimension of the contract {contract.name!r} must be that of {checkpoint!r},"
            f" {width}, got {contract.dimension}"
        )
    return _join(
        encoder, projection, contract, ChainLayout(projection.entries, chain.parts[0].settings)
    )


def _load_bare(
    checkpoint: str, given: Given, layers: int | None, fresh: Fresh
) -> LateInteractionNetwork:
    """An encoder of any family, and one linear layer that is drawn."""
    encoder = pretrained.load("encoder", checkpoint, layers=layers, fresh=fresh)
    unmarked = LateInteractionContract("fresh", query_marker="", document_marker="")
    contract = resolve_contract(
        checkpoint, given, LateInteractionContract, from_config=lambda: unmarked
    )
    width, dimension = encoder.config.hidden_size, contract.dimension
    projection = draw_projection(width, dimension, fresh.seed)
    drawn = replace(encoder, head_is_fresh=True)
    return _join(drawn, projection, contract, ChainLayout(projection.entries))


def _load_stanford(
    checkpoint: str, given: Given, layers: int | None, fresh: Fresh | None
) -> LateInteractionNetwork:
    """A BERT with its linear layer in one file."""
    contract = resolve_contract(
        checkpoint,
        given,
        LateInteractionContract,
        from_config=(lambda: LateInteractionContract("fresh")) if fresh is not None else None,
    )
    loaded = pretrained.load(
        "late_interaction",
        checkpoint,
        families={"bert"},
        layers=layers,
        fresh=fresh,
        settings={"dim": contract.dimension},
    )
    return LateInteractionNetwork(
        loaded.model, loaded.tokenizer, contract, loaded.head_is_fresh
    ).eval()


def _join(
    encoder: Pretrained,
    projection: Projection,
    contract: LateInteractionContract,
    layout: ChainLayout,
) -> LateInteractionNetwork:
    encoder.model.add_module("linear", projection.layers)
    return LateInteractionNetwork(
        encoder.model, encoder.tokenizer, contract, encoder.head_is_fresh, layout
    ).eval()
