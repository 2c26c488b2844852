"""What a step has freed, the next step gets without a page from the system; a stage's peak is counted without it."""

import json

import pytest

from hf_cifar.utils.allocator import has_glibc

pytestmark = pytest.mark.skipif(not has_glibc(), reason="another allocator than glibc's")

STEPS = """
import json, resource
from hf_cifar.utils.allocator import keep_freed_memory, give_back_memory

def faults_of_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        activations = [b"x" * (40 * 2**20) for _ in range(2)]
        del activations
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

usual = faults_of_steps()
kept = keep_freed_memory()
faults_of_steps()
again, full = faults_of_steps(), resident()
give_back_memory()
print(json.dumps({"kept": kept, "usual": usual, "again": again, "given_back": full - resident()}))
"""


def test_a_step_gets_the_memory_of_the_step_before(warm_python):
    done = json.loads(warm_python.run(STEPS).stdout)
    assert done["kept"]
    assert done["usual"] > 10 * 40 * 2**20 / 4096, "without it every page of 40 MB comes anew"
    assert done["again"] < done["usual"] / 20
    assert done["given_back"] > 40 * 2**10, "in KiB"


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_environment_chooses_stays(warm_python, name):
    code = f"import os; os.environ[{name!r}] = ''\n" + STEPS
    assert not json.loads(warm_python.run(code).stdout)["kept"]
