"""The crates that a build of the hub consists of, from `cargo metadata`. Nothing is compiled."""

import json
import pathlib
import platform
import subprocess
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Crate:
    def __init__(self, package, checksums):
        self.name, self.version = package["name"], package["version"]
        self.licence = (package["license"] or "").replace("/", " OR ")
        self.authors, self.description = package["authors"], package["description"]
        self.repository = package["repository"]
        self.folder = pathlib.Path(package["manifest_path"]).parent
        self.is_ours = package["source"] is None
        # A crate of this repository has no checksum.
        self.sha256 = checksums.get((self.name, self.version))
        self.needs = []

    @property
    def purl(self):
        return f"pkg:cargo/{self.name}@{self.version}"


def crates():
    """The program's own crate, and all crates that it is linked from, sorted. Tools of the build and of tests are left
    out."""
    target = f"{platform.machine()}-unknown-linux-gnu"
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target],
        cwd=ROOT, check=True, capture_output=True,
    )
    metadata = json.loads(done.stdout)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(each["name"], each["version"]): each.get("checksum") for each in lock["package"]}
    packages = {each["id"]: each for each in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    program = next(
        each["id"] for each in metadata["packages"] if each["name"] == "thingshub" and each["source"] is None
    )
    found, open_ids = {}, [program]
    while open_ids:
        current = open_ids.pop()
        if current in found:
            continue
        found[current] = crate = Crate(packages[current], checksums)
        for needed in nodes[current]["deps"]:
            if any(kind["kind"] is None for kind in needed["dep_kinds"]):
                crate.needs.append(needed["pkg"])
                open_ids.append(needed["pkg"])
    for crate in found.values():
        crate.needs = sorted((found[each] for each in crate.needs), key=lambda each: each.purl)
    own = found.pop(program)
    return own, sorted(found.values(), key=lambda each: each.purl)
