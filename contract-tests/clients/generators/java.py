"""Java, by openapi-generator's library `native`, compiled."""

from generators.tools import GENERATED, HERE, VENV, Failure, OpenapiGenerator, command

# Archives that the client is compiled against. The generator's own archive has Jackson with its module for times, and
# the annotations for null; no package has the module for optional values, so that its interface is here.
PACKAGED = [
    "/usr/share/java/geronimo-annotation-1.3-spec.jar",
    "/usr/share/java/httpcore.jar",
    "/usr/share/java/httpmime.jar",
]
INTERFACES = GENERATED / "java-interfaces"


def archives():
    """The class path with what clients are compiled against."""
    jars = sorted(VENV.parent.glob("lib/python*/site-packages/openapi_generator_cli/*.jar"))
    if not jars:
        raise Failure("openapi-generator's archive is missing")
    return ":".join(map(str, [*jars, *PACKAGED]))


class Client(OpenapiGenerator):
    name = "java"
    generator = "java"
    options = ("--library", "native")

    def check(self):
        classes = f"{archives()}:{INTERFACES}"
        command("javac", "-nowarn", "-proc:none", "-d", INTERFACES, "-cp", classes, *(HERE / "java").rglob("*.java"))
        sources = self.folder / "sources.txt"
        sources.write_text("\n".join(map(str, self.folder.joinpath("src/main").rglob("*.java"))))
        command("javac", "-nowarn", "-proc:none", "-d", self.folder / "classes", "-cp", classes, f"@{sources}")
