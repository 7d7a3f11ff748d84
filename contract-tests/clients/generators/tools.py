"""Parts that all generators share: where things are, how a step runs, and what a client is."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from hub import Failure  # noqa: E402

DOCUMENT = ROOT / "openapi/openapi.json"
GENERATED = HERE / "generated"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "clients"
VENV = HERE / ".venv/bin"
NODE = HERE / "node_modules/.bin"
SECONDS_MAX = 900


def command(*words, folder=HERE, **environment):
    """Runs a step and returns its output, which is part of the failure if the step fails."""
    # The generators' own tools come first, as when the environments are active.
    path = f"{VENV}:{NODE}:{os.environ['PATH']}"
    try:
        result = subprocess.run(
            list(map(str, words)), cwd=folder, env=os.environ | {"PATH": path} | environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"not done after {SECONDS_MAX} s: {words}") from None
    if result.returncode != 0:
        raise Failure(f"status {result.returncode}: {' '.join(map(str, words))[:400]}\n{result.stdout[-8000:]}")
    return result.stdout


class Client:
    """A generated client. `scenario` is None for those that are compiled and not run."""

    name = ""
    scenario = None

    @property
    def folder(self):
        return GENERATED / self.name

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def generate(self):
        raise NotImplementedError

    def check(self):
        raise NotImplementedError


class OpenapiGenerator(Client):
    """A client that openapi-generator makes. No client gets an option that it cannot be compiled without."""

    generator = ""
    options = ()

    def generate(self):
        output = command(
            "openapi-generator-cli", "generate", "--generator-name", self.generator, "--input-spec", DOCUMENT,
            "--output", self.folder, *self.options,
        )
        # It goes on after a failed file.
        for word in ("ERROR", "Exception"):
            if any(word in line and "writing file" not in line for line in output.splitlines()):
                raise Failure(f"openapi-generator reports a problem:\n{output[-4000:]}")


class TypeScript(Client):
    """A client in TypeScript with `typescript/NAME.ts` as its scenario and `typescript/NAME.json` as its project."""

    def check(self):
        project = HERE / f"typescript/{self.name}.json"
        command("tsc", "--project", project, "--noEmit")
        # Only now as something that Node.js can run.
        command("tsc", "--project", project, "--noCheck")

    def scenario(self, environment):
        script = GENERATED / f"javascript/{self.name}/typescript/{self.name}.js"
        return command("node", script, NODE_EXTRA_CA_CERTS=environment["HUB_CERTIFICATE"], **environment)
