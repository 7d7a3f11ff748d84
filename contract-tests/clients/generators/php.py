"""PHP, by openapi-generator: every file is checked, and every pattern in it."""

from generators.tools import HERE, OpenapiGenerator, command


class Client(OpenapiGenerator):
    name = "php"
    generator = "php"

    def check(self):
        # It reads one file a call.
        command("sh", "-c", "find lib -name '*.php' -print0 | xargs -0 -n 1 -P 2 php -l", folder=self.folder)
        command("php", HERE / "php/patterns.php", *self.folder.joinpath("lib/Model").glob("*.php"))
