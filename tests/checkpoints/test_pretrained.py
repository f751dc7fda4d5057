"""Loading: every kind of model is the one that Hugging Face makes of the same folder."""

import torch
import transformers

from recross.checkpoints.pretrained import load
from tests.conftest import save_tiny


def test_a_masked_language_model_gives_the_logits_of_hugging_face(tmp_path):
    folder = save_tiny(tmp_path / "bert")
    config = transformers.AutoConfig.from_pretrained(folder)
    torch.manual_seed(1)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    found = load("masked_lm", str(folder))
    inputs = found.tokenizer(["here lives a red cat"], return_tensors="pt")
    expected = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = found.model(**inputs).logits
        assert torch.equal(logits, expected(**inputs).logits)
    assert logits.shape[-1] == config.vocab_size and not found.head_is_fresh
