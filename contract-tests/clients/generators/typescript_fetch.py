"""TypeScript, by openapi-generator's typescript-fetch."""

from generators.tools import OpenapiGenerator, TypeScript


class Client(OpenapiGenerator, TypeScript):
    name = "typescript-fetch"
    generator = "typescript-fetch"
    # Files of an ECMAScript module name each other with their ending.
    options = ("--additional-properties", "importFileExtension=.js")
