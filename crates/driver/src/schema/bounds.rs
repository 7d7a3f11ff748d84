//! Bounds of a schema, whatever its text.

/// Length of a schema's text in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Values in a schema, those that YAML aliases repeat included.
pub const NODES_MAX: usize = 50_000;
/// Deepest nesting of values in a schema's text.
pub const DEPTH_MAX: usize = 40;
/// Properties of a schema, at all levels together.
pub const PROPERTIES_MAX: usize = 1_000;
/// Deepest nesting of properties.
pub const PROPERTY_DEPTH_MAX: usize = 16;
/// Length of a property's name in characters.
pub const NAME_MAX: usize = 120;
/// Length of a unit in characters.
pub const UNIT_MAX: usize = 32;
/// Length of a description in characters.
pub const DESCRIPTION_MAX: usize = 2_000;
