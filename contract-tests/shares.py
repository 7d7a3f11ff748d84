"""Share of the fitting requests that must succeed: one success by chance proves little of an operation.

A request fits if all of it is drawn from the document and its path leads to something that exists. It
may be refused all the same for a rule of refusals.py, and some operations mostly are.
"""

import math

# Fewer requests than these are a matter of chance.
REQUESTS_MIN = 8
SHARE = 0.25
# Operations of which a smaller share succeeds, and why.
SMALLER = {
    "create_network_connection": (0.1, "half of its forms have a broker with certificates, which no generator makes"),
    "update_network_connection": (0.1, "the same"),
    "create_integration": (0.08, "most of its forms have certificates, hosts or templates"),
    "update_integration": (0.05, "the same"),
    "update_downlink_settings": (0.05, "most of its forms have certificates or hosts"),
    "create_driver": (0.05, "its script is JavaScript"),
    "import_driver": (0.1, "its body is an archive"),
    "create_device_import": (0.1, "its body is a file of devices"),
    "create_row_import": (0.1, "its body is a file of rows"),
    "follow_integration": (0.0, "a request that is no handshake of a WebSocket is refused"),
}


def too_small(seen, document):
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            label = f"{method.upper()} {path}"
            fitting, successful = seen["fitting"][label], seen["successful"][label]
            share, _ = SMALLER.get(operation["operationId"], (SHARE, ""))
            # Two standard deviations below the share are no chance.
            by_chance = 2 * math.sqrt(fitting * share * (1 - share))
            if fitting >= REQUESTS_MIN and successful < share * fitting - by_chance:
                found.append(f"{label}: {successful} of {fitting} fitting requests succeeded, fewer than {share:.0%}: {dict(seen[label])}")
    return found
