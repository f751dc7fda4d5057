"""Snowflake's arctic-embed (Merrick et al. 2024; Yu et al. 2024): a prompt before queries alone.

Revisions and licences as in mteb, arctic_models.py.
"""

from __future__ import annotations

from recross.checkpoints.published.record import describe_embedder

_PROMPT = "Represent this sentence for searching relevant passages: "
_REVISIONS = {
    "xs": "742da4f66e1823b5b4dbe6c320a1375a1fd85f9e",
    "s": "d3c1d2d433dd0fdc8e9ca01331a5f225639e798f",
    "m": "cc17beacbac32366782584c8752220405a0f3f40",
    "l": "9a9e5834d2e89cdd8bb72b64111dde496e4fe78c",
    "m-v1.5": "97eab2e17fcb7ccb8bb94d6e547898fa1a6a0f47",
}

CHECKPOINTS = (
    *(
        describe_embedder(
            f"Snowflake/snowflake-arctic-embed-{size}",
            revision,
            "Apache-2.0",
            pooling="cls",
            prompts=(_PROMPT, ""),
        )
        for size, revision in _REVISIONS.items()
    ),
    describe_embedder(
        "Snowflake/snowflake-arctic-embed-l-v2.0",
        "edc2df7b6c25794b340229ca082e7c78782e6374",
        "Apache-2.0",
        pooling="cls",
        max_length=8192,
        prompts=("query: ", ""),
    ),
)
