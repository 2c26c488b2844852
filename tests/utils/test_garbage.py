"""What is imported under `lasting` is never looked at by the garbage collector again."""


def test_what_the_block_makes_is_left_out_of_every_collection(warm_python):
    """In a process of its own, since nothing can be taken out of the permanent generation singly."""
    code = """
import gc
from hf_cifar.utils.garbage import lasting
def collected(item):
    return any(item is other for other in gc.get_objects())
with lasting():
    assert not gc.isenabled()
    kept = [[]]
assert gc.isenabled() and not collected(kept)
later = [[]]
assert collected(later)
gc.disable()
try:
    with lasting():
        raise ImportError
except ImportError:
    assert not gc.isenabled(), "as it was before"
assert not collected(later)
"""
    done = warm_python.run(code)
    assert done.returncode == 0, done.stderr
