"""Python, by openapi-python-client."""

from generators.tools import DOCUMENT, GENERATED, HERE, Client as Base, Failure, command


class Client(Base):
    name = "openapi-python-client"

    def generate(self):
        said = command(
            "openapi-python-client", "generate", "--path", DOCUMENT, "--meta", "none",
            "--output-path", self.folder / "thingshub_client", "--overwrite", "--fail-on-warning",
            "--config", HERE / "generators/openapi_python_client.yaml",
        )
        if "warning" in said.lower():
            raise Failure(said)

    def check(self):
        # The client's own transport is not typed strictly; what the scenario uses of it is checked.
        command("mypy", "--strict", "--follow-imports=silent", "--cache-dir", GENERATED / "mypy",
                HERE / "python/openapi_python_client.py", MYPYPATH=str(self.folder))

    def scenario(self, environment):
        return command("python", HERE / "python/openapi_python_client.py", PYTHONPATH=str(self.folder),
                       PYTHONDONTWRITEBYTECODE="1", **environment)
