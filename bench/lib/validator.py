"""P8: the validator, which is fetched into CI images and started for every change."""
import os
import subprocess

from lib.figures import Figure, median
from lib.world import BENCH, ROOT, Wrong

SPECS = 1000
STARTS = 50
MIB = 1 << 20


def program(world):
    """The validator in its own profile; `VALIDATOR_BIN` is one that is built already."""
    given = world.env.get("VALIDATOR_BIN")
    if given:
        return os.path.abspath(given)
    build = ["cargo", "build", "--quiet", "--locked", "--profile", "small", "-p", "engine"]
    subprocess.run([*build, "--no-default-features", "--bin", "validate-spec"], cwd=ROOT, check=True)
    return f"{ROOT}/target/small/validate-spec"


def p8(world, rounds):
    validator = program(world)
    folder = world.folder("validator")
    names = sorted(name for name in os.listdir(f"{BENCH}/specs") if name.startswith(("runs", "orders", "window")))
    for number in range(SPECS):
        name = names[number % len(names)]
        with open(world.spec(name.removesuffix(".yaml"))) as file:
            text = file.read().replace(f"id: {name.removesuffix('.yaml')}", f"id: spec-{number}")
        with open(f"{folder}/spec-{number}.yaml", "w") as file:
            file.write(text)
    costs = [world.run([validator, folder], folder, {"requests": 0}) for _ in range(rounds)]
    with open(f"{folder}/output.log") as log:
        if f"{SPECS} files: 0 errors" not in (text := log.read()):
            raise Wrong(f"P8 did not validate {SPECS} specs: {text[-300:]}")
    one = [world.run([validator, world.spec("runs-postgres")], folder, {}) for _ in range(STARTS)]
    yield Figure("P8", f"{SPECS:,} specs, CPU", median(cost.cpu for cost in costs), "s", 2, 1)
    yield Figure("P8", "start, with one spec", median(cost.wall for cost in one) * 1000, "ms", 20, 10, digits=1)
    yield Figure("P8", "size", os.stat(validator).st_size / MIB, "MiB", 15, 10, digits=1)
