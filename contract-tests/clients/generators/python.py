"""Python, by openapi-generator."""

from generators.tools import HERE, OpenapiGenerator, command


class Client(OpenapiGenerator):
    name = "python"
    generator = "python"

    def check(self):
        # Every module, which Python checks only when it is imported.
        command("python", "-m", "compileall", "-q", self.folder / "openapi_client")
        command("python", "-c", "import openapi_client, openapi_client.models, openapi_client.api",
                PYTHONPATH=str(self.folder))

    def scenario(self, environment):
        return command("python", HERE / "python/openapi_generator.py", PYTHONPATH=str(self.folder),
                       PYTHONDONTWRITEBYTECODE="1", **environment)
