"""How a sparse encoder is to be read: as its own files say, and its record where they do not."""

from __future__ import annotations

from recross.checkpoints.first_stage_contracts import SparseContract
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder, read_modules
from recross.checkpoints.published import find_published
from recross.checkpoints.sentence_layout import check_sides, find_limit, read_limit, read_prompts
from recross.errors import InputError


def read_sparse_encoder(checkpoint: str) -> SparseContract:
    """Read how texts become weights of terms of a checkpoint.

    Each fact is what the checkpoint's own modules say; what they do not say is as published for its
    id, and else as sentence-transformers has it: the highest weights, no prompts, the tokenizer's
    limit.

    Raises:
        InputError: the modules are not those of such an encoder, or another similarity is named.
    """
    published = find_published(checkpoint)
    known = published.contract if published is not None else None
    record = known if isinstance(known, SparseContract) else None
    modules = read_modules(checkpoint)
    if modules is None:
        return record or SparseContract("sparse encoder", max_length=read_limit(checkpoint))
    settings = _find_pooling(modules).settings
    query_prompt, document_prompt = read_prompts(modules.settings)
    return SparseContract(
        record.name if record is not None else "sparse encoder",
        settings.get("pooling_strategy", "max"),
        settings.get("activation_function", "relu"),
        find_limit(modules, record.max_length if record is not None else None),
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        max_terms=modules.settings.get("max_active_dims"),
        source=record.source if record is not None else "",
    )


def _find_pooling(modules: ModuleFolder) -> ModuleEntry:
    check_sides(modules)
    kinds = modules.kinds
    if kinds not in (("MLMTransformer", "SpladePooling"), ("Transformer", "SpladePooling")):
        raise InputError(
            f"checkpoint must be a masked language model with a SpladePooling, got"
            f" {modules.checkpoint!r}, which has {', '.join(kinds)}"
        )
    similarity = modules.settings.get("similarity_fn_name") or "dot"
    if similarity != "dot":
        raise InputError(
            f"similarity_fn_name of a sparse encoder must be dot, got {similarity!r} for"
            f" {modules.checkpoint!r}"
        )
    return modules.parts[1]
