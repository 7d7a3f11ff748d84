"""TypeScript, by openapi-typescript and openapi-fetch."""

from generators.tools import DOCUMENT, TypeScript, command


class Client(TypeScript):
    name = "openapi-fetch"

    def generate(self):
        command("openapi-typescript", DOCUMENT, "--output", self.folder / "schema.d.ts")
