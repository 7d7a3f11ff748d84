"""TypeScript, by orval: a client for fetch, and zod schemas that check what the hub answers."""

from generators.tools import DOCUMENT, TypeScript, command


class Client(TypeScript):
    name = "orval"

    def generate(self):
        for client in ("fetch", "zod"):
            command("orval", "--input", DOCUMENT, "--output", self.folder / f"{client}.ts", "--client", client,
                    "--mode", "single")
