"""E5 (Wang et al. 2022, 2024): every text begins with what it is.

Revisions and licences as in mteb, e5_models.py and e5_instruct.py.
"""

from __future__ import annotations

from recross.checkpoints.published.record import describe_embedder

_PREFIXES = ("query: ", "passage: ")
_INSTRUCTION = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)
_REVISIONS = {
    "e5-small-v2": "dca8b1a9dae0d4575df2bf423a5edb485a431236",
    "e5-base-v2": "1c644c92ad3ba1efdad3f1451a637716616a20e8",
    "e5-large-v2": "b322e09026e4ea05f42beadf4d661fb4e101d311",
    "multilingual-e5-small": "fd1525a9fd15316a2d503bf26ab031a61d056e98",
    "multilingual-e5-base": "d13f1b27baf31030b7fd040960d60d909913633f",
    "multilingual-e5-large": "ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb",
}

CHECKPOINTS = (
    *(
        describe_embedder(f"intfloat/{name}", revision, "MIT", prompts=_PREFIXES)
        for name, revision in _REVISIONS.items()
    ),
    describe_embedder(
        "intfloat/multilingual-e5-large-instruct",
        "baa7be480a7de1539afce709c8f13f833a510e0a",
        "MIT",
        prompts=(_INSTRUCTION, ""),
    ),
)
