"""A client that waits for the end of an outage: for what the tests need, not for what they try out."""

import itertools

from seed import Client, until

NUMBERS = itertools.count(1)
SECONDS_MAX = 60


class Patient(Client):
    def call(self, method, path, body=None, headers=None):
        # A request that was answered with 503 may have been done: with a key it is not done twice.
        headers = {"Idempotency-Key": f"patient {next(NUMBERS)}"} | (headers or {}) if method == "POST" else headers

        def attempt():
            answer = super(Patient, self).call(method, path, body, headers)
            # The key of a request that an outage has met stays taken for a moment.
            is_over = answer.status != 503 and b"has not been answered yet" not in answer.body
            return answer if is_over else None

        return until(f"{method} {path} is no 503", SECONDS_MAX, attempt)
