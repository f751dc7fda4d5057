"""The form of scores: the hardware's, served, or both in a cascade."""

from recross.machine.hardware import Hardware
from recross.rerankers.baselines import FirstStage
from recross.rerankers.composed.cascade import Cascade, Stage
from recross.rerankers.form import Form, find_form
from recross.rerankers.served.dialects import TeiRerank
from recross.rerankers.served.served import ServedReranker

SERVED = ServedReranker("http://127.0.0.1:1", "m", TeiRerank())
HERE = FirstStage()


def test_what_a_server_computes_has_no_precision_of_this_machine():
    hardware = Hardware(precision="bf16")
    assert find_form(SERVED, hardware) == Form("served", None)
    assert find_form(HERE, hardware) == Form("torch", "bf16")


def test_a_cascade_has_the_forms_of_its_stages():
    hardware = Hardware()
    served, here = Stage(SERVED, 9), Stage(HERE, 9)
    assert find_form(Cascade({"a": served}), hardware) == Form("served", None)
    assert find_form(Cascade({"a": here, "b": served}), hardware) == Form(
        "torch and served", "fp32"
    )
    assert find_form(Cascade({"a": here, "b": here}), hardware) == Form("torch", "fp32")
