"""Go, by openapi-generator, compiled against the distribution's packages."""

from generators.tools import GENERATED, OpenapiGenerator, command


class Client(OpenapiGenerator):
    name = "go"
    generator = "go"

    def check(self):
        # Without modules: the one library that the client uses comes from the distribution as well.
        command("go", "vet", ".", folder=self.folder, GO111MODULE="off", GOPATH="/usr/share/gocode",
                GOCACHE=str(GENERATED / "go-cache"), GOFLAGS="")
