"""The generators, each in a file of its own, in the order in which they start: those that take long first."""

from generators import (
    go, hey_api, java, openapi_fetch, openapi_python_client, orval, patterns, php, progenitor, python, typescript_fetch,
)

CLIENTS = [
    progenitor.Client(),
    python.Client(),
    java.Client(),
    go.Client(),
    typescript_fetch.Client(),
    orval.Client(),
    php.Client(),
    openapi_python_client.Client(),
    hey_api.Client(),
    openapi_fetch.Client(),
    patterns.Client(),
]
