"""Rust, by progenitor: its macro generates the client while it compiles."""

from generators.tools import HERE, TARGET, Client as Base, command


class Client(Base):
    name = "rust"

    def generate(self):
        # Cargo knows the document by its absolute path: where clones share a target folder, it would
        # take the client of another clone's document for this one's.
        (HERE / "rust/src/main.rs").touch()

    def check(self):
        command("cargo", "build", "--locked", "--quiet", folder=HERE / "rust", CARGO_TARGET_DIR=str(TARGET))

    def scenario(self, environment):
        return command(TARGET / "debug/generated-client", **environment)
