"""A client that waits for the end of an outage: for what the tests need, not for what they try out."""

import itertools

from seed import Client, until

NUMBERS = itertools.count(1)
SECONDS_MAX = 30


class Patient(Client):
    def call(self, method, path, body=None, headers=None):
        # A request that was answered with 503 may have been done: with a key it is not done twice.
        headers = {"Idempotency-Key": f"patient {next(NUMBERS)}"} | (headers or {}) if method == "POST" else headers

        def attempt():
            answer = super(Patient, self).call(method, path, body, headers)
            return answer if answer.status != 503 else None

        return until(f"{method} {path} is no 503", SECONDS_MAX, attempt)
