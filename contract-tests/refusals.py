"""Requests that may be refused although they fit the document, and why no schema can tell.

The hits of every rule are counted: nobody needs a rule that never matches, and one that matches too
much hides faults. Keep the texts narrow, and ask first whether the document can express the rule. For
rules that generated cases seldom need, fitting.py has a request each.
"""

import re

# Operations, the text of an error that a request of theirs may get although it fits the document,
# and why no schema can tell. The text begins with the status if that is not 400.
RULES = [
    (r".*", r"^header If-Match: it has been changed since", "the state of the resource"),
    (r".*", r"^header Idempotency-Key: (was used for|the first) ", "what was sent before"),
    (r"create_.*|import_driver|update_device_state", r"queue is full: | (imports|fills|replays|versions) (are waiting |are running |go on )?already",
     "what was sent before: there is a bound on what waits"),
    (r"(create|update)_(user|tenant)|change_own_password", r"password: must not ", "two values that must fit each other"),
    (r"change_own_password", r"^current_password: is not ", "the document does not know it"),
    (r"create_(user|tenant)", r"username: must be letters ", "patterns that all languages read alike know ASCII's letters alone"),
    (r"create_(user|tenant)", r"username: another user ", "the state of other resources"),
    (r"create_(user|tenant)", r"username: must not mix ", "which scripts go together needs tables of Unicode"),
    (r"update_user", r" is the last active (administrator|operator) ", "the state of other resources"),
    (r"create_api_key", r"^expires_at: must be in the future$", "what time it is"),
    (r"create_device_labels", r"^labels: a device has at most ", "the state of the device"),
    (r"create_device_labels", r"^labels: (is required, in|must be in) the (body|query) or ", "a parameter and a body that exclude each other"),
    (r"(create|delete)_device_labels?", r"^label(s: each|s\[\d+\]:|:) must (be letters |have 1 to 120 characters)", "patterns that all languages read alike know ASCII's letters alone"),
    (r"create_token", r"^invalid credentials$", "who has an account is not the document's to say"),
    (r".*", r"^cursor: ", "a cursor is opaque: only one that was answered is right"),
    (r"(create|update|adopt)_.*", r"^(id|name): (another|there is) .* already$", "the state of other resources"),
    (r"(create|update)_device|adopt_unknown_device", r"^(driver|connectivity\..*): (there is no|another device) ", "the state of other resources"),
    (r"(create|update)_device", r"network_device_id: must be a DevEUI ", "the state of other resources: which kind of network it is"),
    (r"delete_.*", r" is in use by ", "the state of other resources"),
    (r"(create|update)_.*|list_devices|follow_events", r"^selector: ", "a grammar, and no regular language"),
    (r"export_devices", r"^selector: ", "a grammar, and no regular language"),
    (r"(list|export)_rows.*", r"^filter: ", "a grammar, and the columns of the data table"),
    (r"create_device_bulk_change", r"^action\.labels\[\d+\]: must be letters ", "patterns that all languages read alike know ASCII's letters alone"),
    (r"create_device_bulk_change", r"^action\.labels: a device has at most ", "the state of the devices"),
    (r"create_device", r"^id: must not be import, export or bulk", "a pattern that excludes words is not worth its reading"),
    (r"create_device_import", r"^(body|header line): ", "CSV and NDJSON are text to the document"),
    (r"create_driver", r"^(script|examples\[\d+\].*): ", "JavaScript"),
    (r"create_driver", r"^schema", "what is in a schema is its own grammar, in JSON or YAML"),
    (r"create_driver", r"^author: must not be thingshub", "one word is not worth its reading in a pattern"),
    (r"try_driver", r"^(driver|payload_hex): must be given, or ", "members that exclude each other, which would be six schemas"),
    (r"try_driver", r"^driver: there is no driver ", "the state of other resources"),
    (r"redecode_device_uplinks", r"^driver: (there is no driver |must be given: the device has no driver)", "the state of other resources"),
    (r"try_driver", r"^schema", "what is in a schema is its own grammar, and it goes with a script"),
    (r"try_driver", r"^state: must have at most ", "bytes of JSON"),
    (r"try_driver", r"^(data|state): must (have no NUL|not nest)", "OpenAPI 3.0 has no rule for a free object's names, and none for depth"),
    (r"import_driver", r"^archive: ", "an archive is bytes to the document"),
    (r"export_driver", r"^reference: is required: ", "the state of the driver"),
    (r"update_driver_tag", r"^digest: there is no version ", "the state of the driver"),
    (r"(create|update)_.*", r"^metadata: must (have no NUL|not nest)", "OpenAPI 3.0 has no rule for a free object's names, and none for depth"),
    (r"(create|update|adopt)_.*", r"^labels\[\d+\]: must be letters ", "patterns that all languages read alike know ASCII's letters alone"),
    (r"(create|update)_data_table", r"^columns\[\d+\]\.path: must be unique among the columns$", "one member of each item"),
    (r"(create|update)_integration", r"^target\.(url|auth\.token_url|host|bootstrap\[\d+\]|broker\.url): the address ", "the operator's settings, and what is an address"),
    (r"(create|update)_integration", r"^target\.(url|auth\.token_url): must be an absolute ", "what is a host's name needs tables of Unicode"),
    (r"update_(integration|network_connection|downlink_settings)", r"^(target|settings)\.[a-z_.]+: is required: the address has changed$",
     "the state of the resource: a stored secret goes nowhere else"),
    (r"(create|update)_(integration|network_connection)", r"^(target|settings)\.broker\.(url: must (start with |not )|last_will\.topic: must have )",
     "what is a host's name needs tables of Unicode, and bytes and control characters beyond ASCII"),
    (r"(create|update)_network_connection", r"^settings\.broker\.url: the address ", "the operator's settings, and what is an address"),
    (r"(create|update)_(integration|network_connection)", r"^(target|settings)\.broker\.[a-z_]+: (needs a URL that starts with |goes without |belongs to )",
     "members that belong to each other"),
    (r"(create|update)_(integration|network_connection)", r"^(target|settings)\.broker\.(password|client_key|shared_access_key): is required", "members that belong to each other"),
    (r"(create|update)_(integration|network_connection)", r"^(target|settings)\.broker\.shared_access_key: must be base64$", "a pattern of base64 is not worth its reading"),
    (r"(create|update)_(integration|network_connection|downlink_settings)",
     r"^(target|settings)(\.broker|\.tls|\.auth\.tls)?\.(ca|client_certificate|client_key): (must be |must not hold a private key|does not belong |belongs to |cannot be used|is required)",
     "what is a certificate, and which key belongs to it"),
    (r"(create|update)_(integration|downlink_settings)", r"^(target|settings)\.(auth\.)?tls: requires a ", "members that belong to each other"),
    (r"(create|update)_network_connection", r"^settings\.broker\.username: must be the application with its tenant", "the type of the network server"),
    (r"(create|update)_network_connection", r"^settings\.topics\[\d+\]: must have ", "levels of a filter, and bytes"),
    (r"(create|update)_network_connection", r"^auto_provisioning\.(network_device_id|application)_pattern: (must be|is too large) a", "regular expressions are no regular language"),
    (r"(create|update)_network_connection", r"^auto_provisioning\.(id|name)_template: ", "the names of placeholders"),
    (r"(create|update)_network_connection", r"^auto_provisioning\.driver: there is no driver ", "the state of other resources"),
    (r"(create|update)_network_connection", r"^auto_provisioning\.labels\[\d+\]: must be letters ", "patterns that all languages read alike know ASCII's letters alone"),
    (r"update_downlink_settings", r"^settings\.[a-z_]+: (the placeholder |must have no )", "the names of placeholders, and control characters beyond ASCII"),
    (r"update_downlink_settings", r"^settings\.(base_)?url: (the address |must be an absolute |must have no )", "what is a host's name needs tables of Unicode"),
    (r"update_downlink_settings", r"^settings\.(api_key|api_token|as_key|token): is required$", "the state of the resource: a stored secret may be left out"),
    (r"update_downlink_settings", r"^settings\.type: [a-z]+ requires ", "the type of the network connection"),
    (r"(create|update)_integration", r"^payload\.template: ", "a grammar"),
    (r"(create|update)_integration", r"^target\.type: file requires ", "the operator's settings"),
    (r"(create|update)_integration", r"^target\.columns: must not contain a column twice", "one member of each item"),
    (r"(create|update)_integration", r"^target\.topic: must (have |be letters, digits)", "the names of placeholders, and control characters beyond ASCII"),
    (r"(create|update)_integration", r"^target\.(host|bootstrap\[\d+\]): ", "what is a host's name needs tables of Unicode"),
    (r"create_downlink", r"^values: ", "the device's driver"),
    (r"create_downlink", r"^network_connection_id: ", "the state of other resources"),
    (r"create_downlink", r"^expires_at: must (be in the future|not be combined with )", "what time it is, and members that exclude each other"),
    (r"create_downlink", r"^payload_hex: exactly one of ", "members that exclude each other"),
    (r"create_downlink", r"^payload_(hex|base64): must have (exactly|at most|at least) ", "the network server of the device"),
    (r"update_device_state", r"^desired", "the driver, and the depth of a free object"),
    (r"delete_downlink", r"^only a queued downlink |^the downlink is being sent", "the state of the downlink"),
    (r"(create|update)_integration", r"^target\.(authorization|signing_secret): cannot be combined with ", "members that exclude each other"),
    (r"(create|update)_integration", r"^target\.(password|mechanism): (requires target\.username|is required)$|^target\.ca: cannot be combined with target\.tls=off$",
     "members that belong to each other"),
    (r"test_integration", r"^an integration of the type websocket cannot be tested", "the type of the integration"),
    (r"follow_integration", r" cannot be followed$", "the type of the integration"),
    (r"create_integration_key", r" has no key$", "the type of the integration"),
    (r"resend_delivery", r" is already queued$", "the state of the delivery"),
    (r"create_row_import", r"^(body|header line.*|line 1): ", "CSV and NDJSON are text to the document"),
    (r"create_scheduled_export", r"^a data table can have \d+ scheduled exports", "what was sent before"),
    (r"create_export_run", r"^run \d+ of this export is in progress", "what was sent before"),
    (r"(create|update)_scheduled_export", r"^(schedule: must (be a cron expression|have a time)|timezone: must be the name of a time zone)", "the languages of schedules and time zones"),
    (r"(create|update)_scheduled_export", r"^(raw|units): requires the format csv|^gzip: cannot be combined|^target\.(password: is required|private_key: |host: must be the name or address |endpoint: must (have no path|be an absolute )|type: folder requires)|^target\..*: the address ", "two values that must fit each other"),
    (r"create_replay", r"forwards no uplinks", "the state of the integration"),
    (r"list_drivers", r"^label: must be letters ", "patterns that all languages read alike know ASCII's letters alone"),
    (r"(list|export|delete|aggregate)_rows.*|list_device_uplinks|aggregate_device_uplinks|get_.*_chart|list_audit_log|list_.*_events|redecode_device_uplinks|list_deliveries|resend_deliveries|create_replay|create_fill", r"^to: must not be before from$", "two values that must fit each other"),
    (r"aggregate_rows|list_latest_values|get_data_table_chart", r"^selector: ", "a grammar, and no regular language"),
    (r"aggregate_.*|get_.*_chart", r"^timezone: must be the name of ", "which time zones there are"),
    (r"aggregate_.*|get_.*_chart", r"^columns: (the (data table|column) |is required: the data table |must have at most )",
     "the state of the data table, and numbers in a path"),
    (r"aggregate_.*|list_latest_values|get_.*_chart", r"^device_id: (must be 1 to 100 |the chart would have more than )", "the length of each identifier of several"),
    (r"aggregate_.*", r"^interval: the answer would have more than ", "the length of a period"),
    (r"create_uplink", r"^401 ", "no connection has the key that is drawn, and there may be no such connection"),
    (r"create_uplink", r"^(?!id|401 |403 |query parameter(?! .(event|Token)))",
     "the body is the network server's, in the form of the connection's type, and signed with the connection's key"),
]


# Null where the document permits it, which the generator takes for a fault: see hooks.py.
NULLS = "null where the document permits it"


def name_of(rule):
    return f"{rule[0]}: {rule[1]}"


def names():
    """The names by which the hits are counted."""
    return [NULLS, *map(name_of, RULES)]


def excuse(operation, error):
    """The name of the first rule that permits the refusal, or nothing."""
    return next((name_of(rule) for rule in RULES if re.fullmatch(rule[0], operation) and re.search(rule[1], error)), None)
