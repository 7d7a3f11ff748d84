"""No client: every pattern of the document means the same to the languages of the clients.

That each means the same as the hub's own check is what `patterns_agree_with_the_checks` in src/text/tests.rs shows.
"""

import json
import re

from generators.java import archives
from generators.tools import DOCUMENT, GENERATED, HERE, Client as Base, Failure, command

# In the middle of a good value and at its ends. A line break at the very end is left out: `$` stands before it
# in some languages, whatever the pattern.
ODD = ["\0", "\x1f", "\n ", "\t", " ", "\x7f", "\x85", "\xa0", "ü", "二", "\u2028", "😀", *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ0"]


def patterns(node, found):
    """The patterns below a node, each with the examples beside it."""
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            examples = found.setdefault(node["pattern"], set())
            examples.update(value for value in (node.get("example"), node.get("default")) if isinstance(value, str))
        for value in node.values():
            patterns(value, found)
    elif isinstance(node, list):
        for value in node:
            patterns(value, found)
    return found


def probes(examples):
    made = {"", *ODD}
    for example in examples:
        middle = len(example) // 2
        made |= {example, example * 2, example[:-1]}
        for odd in ODD:
            made |= {odd + example, example[:middle] + odd + example[middle:], example + odd}
    return sorted(probe for probe in made if not probe.endswith("\n"))


class Client(Base):
    name = "patterns"

    def generate(self):
        self.folder.mkdir(parents=True)
        found = patterns(json.loads(DOCUMENT.read_text()), {})
        self.cases = [(pattern, probes(examples)) for pattern, examples in sorted(found.items())]
        (self.folder / "cases.json").write_text(json.dumps(self.cases))

    def check(self):
        cases = self.folder / "cases.json"
        expected = "".join(
            "".join(str(int(bool(re.search(pattern, probe)))) for probe in probes) + "\n" for pattern, probes in self.cases)
        if not {"0", "1"} <= set(expected):
            raise Failure("the probes tell no difference")
        for language, said in {
            "JavaScript": command("node", HERE / "patterns/probes.js", cases),
            "PHP": command("php", HERE / "patterns/probes.php", cases),
            "Go": command("go", "run", HERE / "patterns/probes.go", cases, GO111MODULE="off", GOFLAGS="",
                          GOCACHE=str(GENERATED / "go-cache")),
            "Java": command("java", "-cp", archives(), HERE / "patterns/Probes.java", cases),
        }.items():
            for (pattern, probes), one, other in zip(self.cases, expected.splitlines(), said.splitlines(), strict=True):
                differing = [probe for probe, a, b in zip(probes, one, other, strict=True) if a != b]
                if differing:
                    raise Failure(f"{language} and Python differ: {pattern} with {differing[:5]}")
