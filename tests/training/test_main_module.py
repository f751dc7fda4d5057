"""Work on several devices is refused where the processes that share it would begin it anew."""

import subprocess
import sys

import pytest

SCRIPT = """
import threading
from recross.errors import InputError
from recross.training.main_module import check_guarded

def work():
    try:
        check_guarded(2)
    except InputError as error:
        print(error)
    else:
        print("allowed")

def work_in_a_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

"""
PLACES = {
    "work()": "in line 19 of",
    "work_in_a_thread()": "in line 19 of",
    'if __name__ == "__main__":\n    work()': "allowed",
    'if __name__ == "__main__":\n    work_in_a_thread()': "allowed",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_script_must_guard_its_work_also_where_a_thread_does_it(tmp_path, place):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT + place)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert PLACES[place] in done.stdout, done.stderr
