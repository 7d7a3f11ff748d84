"""Sends requests of the story by the document's code samples, as whoever copies them would.

Certificates come by the variables that curl, requests and Node read; the samples themselves are run as they are,
with the address of the story's hub and the identifiers that it has made in place of those that the document shows.
"""

import base64
import contextlib
import email.message
import io
import json
import os
import pathlib
import subprocess
import urllib.parse

import requests
from hub import Answer, Failure
from story_run import CREDENTIALS, PUBLIC_URL

LANGUAGES = ("curl", "Python", "TypeScript")
HERE = pathlib.Path(__file__).resolve().parent


def sources(document, language):
    """The samples in a language, by operation."""
    found = {}
    for item in document["paths"].values():
        for raw in item.values():
            for sample in raw.get("x-codeSamples", []):
                if sample["label"] == language:
                    found[raw["operationId"]] = sample["source"]
    return found


def localized(source, hub, differences):
    """The sample with what is sent in place of what is shown."""
    def in_json(text):
        return json.dumps(text, ensure_ascii=False)[1:-1]

    def in_url(text):
        return urllib.parse.quote(text, safe="")

    source = source.replace(PUBLIC_URL, hub.url)
    for shown, real in differences.items():
        for written in (in_json, in_url):
            source = source.replace(written(shown), written(real))
    return source


def answer(status, media_type, body):
    headers = email.message.Message()
    headers["Content-Type"] = media_type
    return Answer(int(status), headers, body)


class Curl:
    """Runs a sample in a shell."""

    def __init__(self, folder, environment):
        self.folder, self.environment = folder, environment | {"CURL_HOME": str(folder)}
        (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "%{stderr}%{http_code} %{content_type}"\n')

    def send(self, source, step):
        done = subprocess.run(["bash", "-euc", source], cwd=self.folder, env=self.environment, capture_output=True)
        if done.returncode:
            raise Failure(f"curl ended with {done.returncode}: {done.stderr.decode()} {done.stdout.decode()[:600]}")
        status, _, media_type = done.stderr.decode().partition(" ")
        body = (self.folder / step.save_as).read_bytes() if step.save_as else done.stdout
        return answer(status, media_type, body)

    def close(self):
        pass


class Python:
    """Runs a sample in this process."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.responses = folder, environment, []
        self.send_plainly = requests.Session.send

        def send(session, request, **options):
            response = self.send_plainly(session, request, **options)
            # Reads the body once, also that of a stream, which the sample then reads again.
            self.responses.append((response.status_code, response.headers.get("Content-Type", ""), response.content))
            return response

        requests.Session.send = send

    def send(self, source, step):
        saved, here = dict(os.environ), os.getcwd()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, f"<{step.operation}>", "exec"), {"__name__": "__main__"})
        except requests.HTTPError as error:
            raise Failure(f"{error}: {error.response.text[:600]}") from None
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(saved)
        return answer(*self.responses.pop())

    def close(self):
        requests.Session.send = self.send_plainly


class TypeScript:
    """Runs samples in one process of Node, which takes a line of JSON for each and gives one."""

    def __init__(self, folder, environment):
        self.environment = environment
        self.node = subprocess.Popen(
            ["node", HERE / "story_samples.mjs"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def send(self, source, step):
        print(json.dumps({"source": source, "environment": self.environment}), file=self.node.stdin, flush=True)
        line = self.node.stdout.readline()
        if not line:
            raise Failure("Node ended")
        found = json.loads(line)
        if "error" in found:
            raise Failure(found["error"])
        return answer(found["status"], found["media_type"], base64.b64decode(found["body"]))

    def close(self):
        self.node.stdin.close()
        self.node.wait(30)


@contextlib.contextmanager
def sender(language, hub, document, folder):
    """The program that sends a request of the story by a sample in the language; nothing without a language."""
    if language is None:
        yield None
        return
    found = sources(document, language)
    certificate = str(hub.certificate)
    environment = os.environ | {
        "CURL_CA_BUNDLE": certificate, "REQUESTS_CA_BUNDLE": certificate, "NODE_EXTRA_CA_CERTS": certificate,
    }
    runner = {"curl": Curl, "Python": Python, "TypeScript": TypeScript}[language](folder, environment)

    def send(step, request, differences):
        if step.operation not in found:
            raise Failure(f"{step.operation} has no sample in {language}")
        if step.file:
            (folder / step.file).write_bytes(request.content)
        runner.environment |= dict.fromkeys(CREDENTIALS.values(), "") | {request.variable: request.token or ""}
        return runner.send(localized(found[step.operation], hub, differences), step)

    try:
        yield send
    finally:
        runner.close()
