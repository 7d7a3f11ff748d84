//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations that store versions of a driver.
const PUSHES: &[&str] = &["create_driver", "import_driver"];

/// Operations that run a script in a driver worker.
const RUNS: &[&str] = &["create_driver", "import_driver", "try_driver"];

/// Operations whose parameters are the names of a driver or tag, and perhaps those of a list.
const TAKES_NAMES: &[&str] = &[
    "get_driver",
    "delete_driver",
    "list_driver_usage",
    "list_driver_versions",
    "get_driver_tag",
    "delete_driver_tag",
    "list_driver_tag_moves",
];

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Drivers
    DeclaredError {
        operations: &["get_driver", "list_driver_versions", "list_driver_usage"],
        reason: Reason::NotFound,
        cause: "The tenant has no driver with this author and name.",
        message: "there is no driver \"milesight/am102\"",
    },
    DeclaredError {
        operations: &["update_driver", "delete_driver"],
        reason: Reason::NotFound,
        cause: "The tenant has no driver with this author and name. The drivers of the author `thingshub` are part of \
                the hub, so they cannot be changed or deleted.",
        message: "there is no driver \"milesight/am102\"",
    },
    DeclaredError {
        operations: TAKES_NAMES,
        reason: Reason::Invalid,
        cause: "A parameter or header breaks the rule of its schema.",
        message: "author: must be letters, digits, dots, dashes and underscores, with a letter or digit at both ends",
    },
    DeclaredError {
        operations: &["list_drivers"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema, or `cursor` is none that this list has returned.",
        message: "sort: must be one of created_at, -created_at, name, -name, author, -author, updated_at, -updated_at",
    },
    DeclaredError {
        operations: &["update_driver"],
        reason: Reason::Invalid,
        cause: "A parameter, header or member breaks the rule of its schema.",
        message: "supports: must have 0 to 100 items",
    },
    DeclaredError {
        operations: &["create_driver", "try_driver"],
        reason: Reason::TooLarge,
        cause: "The body, once decompressed, is larger than eight times the setting `body_max_bytes`.",
        message: "body: must have at most 8388608 bytes",
    },
    DeclaredError {
        operations: &["create_driver"],
        reason: Reason::Invalid,
        cause: "A member breaks a rule of its schema, the author is `thingshub`, the script cannot be loaded or \
                defines no decode function, the driver schema is broken, or an example gives another output than it \
                says. The message names the place and, for a script, the line.",
        message: "examples[0]: output.temperature: the example says 21.5, the driver gives 21",
    },
    DeclaredError {
        operations: PUSHES,
        reason: Reason::LimitReached,
        cause: "The driver already has 1000 versions. Delete versions that no device and no tag needs.",
        message: "driver milesight/am102 has 1000 versions already: delete some that nothing needs first",
    },
    DeclaredError {
        operations: RUNS,
        reason: Reason::Unavailable,
        cause: "No worker process can run the script now, its worker has crashed, or the database cannot be used. \
                Retry after `Retry-After` seconds.",
        message: "no driver worker can be started now",
    },
    DeclaredError {
        operations: &["create_driver", "try_driver"],
        reason: Reason::Overloaded,
        cause: "Too many scripts are waiting for a driver worker, or too many requests are running. Retry after \
                `Retry-After` seconds.",
        message: "too many drivers are waiting to run",
    },
    DeclaredError {
        operations: &["delete_driver"],
        reason: Reason::InUse,
        cause: "Devices, or auto-provisioning rules of network connections, use the driver. Give them another driver \
                first; `GET .../usage` lists what devices use.",
        message: "driver milesight/am102 is in use by 12 device(s): give them another driver first",
    },
    // Try-out
    DeclaredError {
        operations: &["try_driver"],
        reason: Reason::Required,
        cause: "Neither `driver` nor `script` is given, or none of `payload_hex`, `payload_base64` and `data`.",
        message: "driver: must be given, or script in its place, and not both",
    },
    DeclaredError {
        operations: &["try_driver"],
        reason: Reason::Invalid,
        cause: "A member breaks a rule of its schema, members are given that exclude each other, the driver schema is \
                broken, or `state` is too large. Errors of the script itself are part of the response with 200.",
        message: "schema: must come with script: a driver has a schema of its own",
    },
    DeclaredError {
        operations: &["try_driver"],
        reason: Reason::UnknownReference,
        cause: "The member `driver` names a driver, tag or version that does not exist.",
        message: "driver: there is no driver milesight/am102:1.0",
    },
    // Archives
    DeclaredError {
        operations: &["export_driver"],
        reason: Reason::Required,
        cause: "The driver has no tag or more than 32 tagged versions, so the parameter `reference` must pick one \
                version.",
        message: "reference: is required: the driver has no tag",
    },
    DeclaredError {
        operations: &["export_driver"],
        reason: Reason::Invalid,
        cause: "A parameter breaks the rule of its schema.",
        message: "reference: must be a tag, or a digest: sha256: and 64 hexadecimal digits",
    },
    DeclaredError {
        operations: &["export_driver"],
        reason: Reason::NotFound,
        cause: "The tenant has no driver with this author and name, or the driver has no such tag or version as \
                `reference` names. Drivers that are part of the hub cannot be exported.",
        message: "there is no driver tag \"milesight/am102:1.0\"",
    },
    DeclaredError {
        operations: &["export_driver"],
        reason: Reason::Overloaded,
        cause: "The hub is already exporting two drivers of the tenant or four drivers in all, or too many requests \
                are running. Retry after `Retry-After` seconds.",
        message: "other drivers of this tenant are being exported; try again",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::Malformed,
        cause: "The body is no tar archive that is compressed by gzip, or no complete multipart form, or a file in \
                the archive is no valid UTF-8 or JSON.",
        message: "archive: must be a tar archive that is compressed by gzip: invalid gzip header",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::UnsupportedMediaType,
        cause: "`Content-Type` is none that the operation accepts, or, in a form, that of the part with the file.",
        message: "header Content-Type: must be application/octet-stream, application/gzip or multipart/form-data",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::TooLarge,
        cause: "The archive is larger than eight times the setting `body_max_bytes`, or more than 64 MiB when it is \
                uncompressed, or a file in it is larger than 4 MiB.",
        message: "archive: am102-0123456789ab/schema.json: must have at most 4194304 bytes",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::UnknownMember,
        cause: "A `.project` or `examples.json` file in the archive has a member that the format does not define.",
        message: "archive: am102-0123456789ab/.project: colour: is unknown here",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::Required,
        cause: "A version's folder lacks `.project` or `driver.js`, or a file in it lacks a required member.",
        message: "archive: am102-0123456789ab/driver.js: is not there",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::Invalid,
        cause: "The archive holds no version, more than 32 versions or files that do not belong there, its versions \
                have different metadata, a digest is not that of the content, or a version breaks a rule that also \
                applies to `POST /api/v3/drivers`.",
        message: "archive: am102-0123456789ab: script: must define one of decodeUplink, decode, Decoder, Decode",
    },
    DeclaredError {
        operations: &["import_driver"],
        reason: Reason::Overloaded,
        cause: "The hub is already receiving a file of this user or API key, two files of the tenant or four files in \
                all, or too many scripts are waiting for a driver worker. Retry after `Retry-After` seconds.",
        message: "other files of this tenant are being received; try again",
    },
    // Tags
    DeclaredError {
        operations: &["get_driver_tag", "delete_driver_tag"],
        reason: Reason::NotFound,
        cause: "The tenant has no such driver, or the driver has no such tag.",
        message: "there is no driver tag \"milesight/am102:1.0\"",
    },
    DeclaredError {
        operations: &["list_driver_tag_moves"],
        reason: Reason::NotFound,
        cause: "The tenant has no such driver, or the driver has never had such a tag.",
        message: "there is no driver tag \"milesight/am102:1.0\"",
    },
    DeclaredError {
        operations: &["update_driver_tag"],
        reason: Reason::NotFound,
        cause: "The tenant has no driver with this author and name. A tag that does not exist is created.",
        message: "there is no driver \"milesight/am102\"",
    },
    DeclaredError {
        operations: &[
            "update_driver_tag",
            "get_driver_version",
            "delete_driver_version",
        ],
        reason: Reason::Invalid,
        cause: "A parameter, header or member breaks the rule of its schema.",
        message: "digest: must read sha256: and 64 hexadecimal digits in lower case",
    },
    DeclaredError {
        operations: &["update_driver_tag"],
        reason: Reason::UnknownReference,
        cause: "The driver has no version with the digest in the body. Push the version first.",
        message: "digest: there is no version sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad \
                  of driver milesight/am102",
    },
    DeclaredError {
        operations: &["delete_driver_tag"],
        reason: Reason::InUse,
        cause: "Devices, or auto-provisioning rules of network connections, name the driver with this tag. Give them \
                another driver or tag first.",
        message: "driver milesight/am102:1.0 is in use by 12 device(s): give them another driver first",
    },
    // Versions
    DeclaredError {
        operations: &["get_driver_version", "delete_driver_version"],
        reason: Reason::NotFound,
        cause: "The tenant has no such driver, or the driver has no version with this digest.",
        message: "there is no driver version \
                  \"milesight/am102@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
    },
    DeclaredError {
        operations: &["delete_driver_version"],
        reason: Reason::InUse,
        cause: "Tags point at the version, or devices or auto-provisioning rules name it by its digest. Move or \
                delete the tags, or give the devices another driver, first.",
        message: "driver milesight/am102@sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad is \
                  in use by 12 device(s): the tag 1.0 points at it: move or delete what points at it first",
    },
];
