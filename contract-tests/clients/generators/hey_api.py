"""TypeScript, by @hey-api/openapi-ts."""

from generators.tools import DOCUMENT, TypeScript, command


class Client(TypeScript):
    name = "hey-api"

    def generate(self):
        command("openapi-ts", "--input", DOCUMENT, "--output", self.folder, "--no-log-file")
