//! Whole schemas: what is read, what is refused where, what they say of data.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    bounds::{PROPERTIES_MAX, PROPERTY_DEPTH_MAX},
    *,
};

/// The public SDK's examples: groups without a type, the version as a text.
const SHORT: &str = r#"
version: "2"
properties:
  temperature:
    type: int64
    unit: °C
    description: The temperature (between 0 and 180°C)
  door:
    opened:
      type: bool
      description: Reports if the door is open
    locked:
      type: bool
      configurable: true
      default: false
"#;

const LONG: &str = r#"{
  "version": "2.1",
  "properties": {
    "temperatures": {
      "type": "object",
      "properties": {
        "feed": {"type": "float64", "unit": "°C", "description": "Feed"},
        "return": {"type": "float64", "unit": "°C"}
      }
    },
    "settings": {
      "type": "object",
      "configurable": true,
      "properties": {
        "interval": {"type": "duration", "default": "10m"},
        "serial": {"type": "string", "configurable": false}
      }
    },
    "history": {"type": "array", "items": {"type": "object", "properties": {"t": {"type": "float64"}}}},
    "measured_at": {"type": "timestamp"},
    "extra": {"type": "object"}
  }
}"#;

fn refused(text: &str) -> String {
    Schema::parse(text).unwrap_err().to_string()
}

fn property(property: &str) -> String {
    format!("version: 2\nproperties:\n  p: {property}")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn violation(schema: &Schema, data: Value) -> String {
    schema.check(&object(data)).unwrap_err().to_string()
}

#[test]
fn the_versions_are_texts_or_numbers_and_the_first_where_there_is_none() {
    let of = |version: &str| {
        Schema::parse(&format!("{version}\nproperties: {{t: {{type: int64}}}}")).map(|schema| {
            assert_eq!(schema.document()["version"], schema.version().as_str());
            schema.version()
        })
    };
    assert_eq!(of(""), Ok(Version::V1));
    assert_eq!(of("version: 1"), Ok(Version::V1));
    assert_eq!(of("version: \"2\""), Ok(Version::V2));
    assert_eq!(of("version: 2.0"), Ok(Version::V2));
    assert_eq!(of("version: 2.1"), Ok(Version::V2_1));
    for wrong in ["version: 3", "version: 2.2", "version: [2]", "version: x"] {
        let error = of(wrong).unwrap_err().to_string();
        assert_eq!(
            error, "schema.version: must be \"1\", \"2\" or \"2.1\"",
            "{wrong}"
        );
    }
}

#[test]
fn a_group_is_an_object_in_short() {
    let schema = Schema::parse(SHORT).unwrap();
    let paths: Vec<_> = schema.columns().into_iter().map(|c| c.path).collect();
    assert_eq!(paths, ["temperature", "door.opened", "door.locked"]);
    let data = json!({"temperature": 21, "door": {"opened": true}});
    assert_eq!(schema.check(&object(data)), Ok(()));
    // Members that have an attribute's name are properties when they are objects.
    let schema = Schema::parse(
        "version: 2\nproperties:\n  g:\n    description: a group\n    type: {type: string}\n    unit: {type: string}",
    )
    .unwrap();
    let paths: Vec<_> = schema.columns().into_iter().map(|c| c.path).collect();
    assert_eq!(paths, ["g.type", "g.unit"]);
}

#[test]
fn a_project_file_s_member_is_a_schema_as_well() {
    let wrapped = format!("schema:{}", SHORT.replace('\n', "\n  "));
    let (wrapped, plain) = (Schema::parse(&wrapped), Schema::parse(SHORT));
    assert_eq!(wrapped.unwrap().document(), plain.unwrap().document());
}

#[test]
fn columns_have_type_unit_and_description() {
    let columns = Schema::parse(LONG).unwrap().columns();
    let told: Vec<_> = columns
        .iter()
        .map(|c| (c.path.as_str(), c.kind, c.unit.as_deref()))
        .collect();
    use ColumnKind::{Json, Number, Text};
    assert_eq!(
        told,
        [
            ("temperatures.feed", Number, Some("°C")),
            ("temperatures.return", Number, Some("°C")),
            ("settings.interval", Text, None),
            ("settings.serial", Text, None),
            ("history", Json, None),
            ("measured_at", Text, None),
            ("extra", Json, None),
        ]
    );
    assert_eq!(columns[0].description.as_deref(), Some("Feed"));
}

#[test]
fn data_that_break_a_closed_schema_are_told_with_the_property() {
    let schema = Schema::parse(LONG).unwrap();
    for good in [
        json!({}),
        json!({"temperatures": {"feed": 60, "return": 40.5}, "extra": {"a": [1]}}),
        json!({"temperatures": {"feed": null}, "history": null}),
        json!({"history": [{"t": 1}, {}], "measured_at": "2026-01-31T12:30:00Z"}),
    ] {
        assert_eq!(schema.check(&object(good.clone())), Ok(()), "{good}");
    }
    for (bad, told) in [
        (
            json!({"humidity": 1}),
            "humidity: is not in the driver's schema",
        ),
        (
            json!({"temperatures": {"feeed": 1}}),
            "temperatures.feeed: is not in the driver's schema",
        ),
        (
            json!({"temperatures": {"feed": "60"}}),
            "temperatures.feed: must be a number (float64), and is a string",
        ),
        (
            json!({"temperatures": 60}),
            "temperatures: must be an object, and is a number",
        ),
        (
            json!({"history": [{"t": 1}, {"t": true}]}),
            "history.1.t: must be a number (float64), and is true or false",
        ),
        (
            json!({"history": {}}),
            "history: must be an array, and is an object",
        ),
    ] {
        assert_eq!(violation(&schema, bad), told);
    }
    let long = "x".repeat(1_000);
    assert!(violation(&schema, json!({long: 1})).len() < 200);
}

#[test]
fn an_open_schema_checks_what_it_lists_alone() {
    let schema = Schema::parse("properties: {t: {type: float64}, g: {a: {type: bool}}}").unwrap();
    let data = json!({"t": 1, "more": "x", "g": {"a": true, "b": 1}});
    assert_eq!(schema.check(&object(data)), Ok(()));
    assert_eq!(
        violation(&schema, json!({"g": {"a": 1}})),
        "g.a: must be true or false (bool), and is a number"
    );
}

#[test]
fn only_what_is_configurable_may_be_desired() {
    let schema = Schema::parse(LONG).unwrap();
    let paths: Vec<_> = schema.configurable().into_iter().map(|c| c.path).collect();
    assert_eq!(paths, ["settings.interval"]);
    let set = |desired: Value| {
        let checked = schema.check_desired(&object(desired));
        checked.map_err(|violation| violation.to_string())
    };
    assert_eq!(set(json!({"settings": {"interval": "1h"}})), Ok(()));
    assert_eq!(set(json!({"settings": {}})), Ok(()));
    assert_eq!(
        set(json!({"settings": {"interval": 60}})).unwrap_err(),
        "settings.interval: must be a duration such as \"1h30m\" (duration), and is a number"
    );
    for (refused, path) in [
        (json!({"settings": {"serial": "x"}}), "settings.serial"),
        (
            json!({"settings": null, "temperatures": {"feed": 1}}),
            "temperatures.feed",
        ),
        (json!({"temperatures": null}), "temperatures"),
    ] {
        let error = set(refused).unwrap_err();
        assert!(
            error.starts_with(&format!("{path}: cannot be set")),
            "{error}"
        );
    }
    assert!(set(json!({"unlisted": 1})).is_err());
    // An open schema does not open the desired state.
    let open = Schema::parse("properties: {a: {type: bool, configurable: true}}").unwrap();
    assert!(open.check_desired(&object(json!({"b": 1}))).is_err());
}

#[test]
fn defaults_are_data() {
    assert_eq!(
        Schema::parse(SHORT).unwrap().defaults(),
        object(json!({"door": {"locked": false}}))
    );
    assert_eq!(
        refused(&property("{type: int64, default: x}")),
        "schema.properties.p.default: must be a whole number from -9223372036854775808 to \
         9223372036854775807 (int64), and is a string"
    );
    assert!(
        refused(&property(
            "{type: object, properties: {a: {type: bool}}, default: {a: 1}}"
        ))
        .starts_with("schema.properties.p.default.a: ")
    );
}

#[test]
fn what_is_desired_has_the_defaults_of_what_it_leaves_out() {
    let text = "properties: {s: {type: object, configurable: true, properties: \
        {a: {type: int8, default: 1}, b: {type: int8}}}}";
    let nested = Schema::parse(text).unwrap();
    let with = |desired| nested.with_defaults(&object(desired));
    assert_eq!(with(json!({})), object(json!({"s": {"a": 1}})));
    assert_eq!(
        with(json!({"s": {"b": 2}})),
        object(json!({"s": {"a": 1, "b": 2}}))
    );
    assert_eq!(with(json!({"s": {"a": 3}})), object(json!({"s": {"a": 3}})));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, told) in [
        ("[]".to_owned(), "schema: must be an object"),
        (
            "version: 2".to_owned(),
            "schema.properties: must be an object",
        ),
        ("propertys: {}".to_owned(), "schema.propertys: is unknown"),
        (
            "properties: {\"\": {type: bool}}".to_owned(),
            "schema.properties.: a name must have 1 to 120",
        ),
        (
            format!("properties: {{{}: {{type: bool}}}}", "n".repeat(121)),
            "schema.properties.nnn",
        ),
        (
            "properties: {\"a\\0b\": {type: bool}}".to_owned(),
            "schema.properties.a\0b: a name must",
        ),
    ] {
        let error = refused(&text);
        assert!(error.starts_with(told), "{text}: {error}");
    }
}

#[test]
fn a_wrong_property_is_told_with_its_place() {
    for (text, told) in [
        ("float64".to_owned(), ": must be an object"),
        ("{}".to_owned(), ".type: is missing"),
        ("{unit: V}".to_owned(), ".type: is missing"),
        ("{type: 7}".to_owned(), ".type: must be a text"),
        ("{type: decimal}".to_owned(), ".type: must be one of object"),
        ("{type: bool, units: V}".to_owned(), ".units: is unknown"),
        ("{type: bool, unit: 7}".to_owned(), ".unit: must be a text"),
        (
            "{type: bool, configurable: 1}".to_owned(),
            ".configurable: must be true",
        ),
        (
            "{type: bool, items: {type: bool}}".to_owned(),
            ".items: is for the type array",
        ),
        (
            "{type: array, properties: {}}".to_owned(),
            ".properties: is for the type object",
        ),
        (
            "{type: object, properties: []}".to_owned(),
            ".properties: must be an object",
        ),
        (
            "{type: array, items: {}}".to_owned(),
            ".items.type: is missing",
        ),
        (
            "{a: 1, b: {type: bool}}".to_owned(),
            ".a: must be an object that has a type",
        ),
        (
            "{$ref: '#/properties/p'}".to_owned(),
            ".$ref: is not supported",
        ),
        (
            format!("{{type: bool, unit: {}}}", "u".repeat(33)),
            ".unit: must have at most 32",
        ),
    ] {
        let error = refused(&property(&text));
        let told = format!("schema.properties.p{told}");
        assert!(error.starts_with(&told), "{text}: {error}");
    }
    let with_own = property("{type: bool, x-icon: [1, 2], unit: '', description: null}");
    assert!(Schema::parse(&with_own).is_ok());
}

#[test]
fn the_number_and_the_depth_of_properties_are_bounded() {
    let many = |count: usize| {
        let properties: Map<_, _> = (0..count)
            .map(|index| (format!("p{index}"), json!({"type": "int64", "unit": "V"})))
            .collect();
        Schema::from_value(json!({"version": "2", "properties": properties}))
    };
    assert!(many(PROPERTIES_MAX).is_ok());
    for count in [PROPERTIES_MAX + 1, 10_000] {
        assert_eq!(
            many(count).unwrap_err().to_string(),
            "schema.properties: must have at most 1000 properties, at all levels together"
        );
    }
    let deep = |depth: usize| {
        let mut inner = json!({"type": "bool"});
        for _ in 1..depth {
            inner = json!({"p": inner});
        }
        Schema::from_value(json!({"properties": {"p": inner}}))
    };
    assert!(deep(PROPERTY_DEPTH_MAX).is_ok());
    assert!(
        deep(PROPERTY_DEPTH_MAX + 1)
            .unwrap_err()
            .to_string()
            .ends_with("must not be nested deeper than 16 properties")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("type".to_owned()),
        Just("properties".to_owned()),
        Just("items".to_owned()),
        Just("default".to_owned()),
        Just("configurable".to_owned()),
        "[a-cü.]{0,3}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![
            Just("object"),
            Just("array"),
            Just("int64"),
            Just("bool"),
            Just("duration"),
            Just("1h")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn survives_any_text(text in "\\PC{0,200}") {
        let _ = Schema::parse(&text);
    }

    #[test]
    fn survives_pieces_of_yaml(pieces in proptest::collection::vec(
        "version: 2|properties:|type: |\n|  |- |&a |\\*a|\\{|\\}|\\[|\\]|: |, |<<|\"|!x|x", 0..40)) {
        let _ = Schema::parse(&pieces.concat());
    }

    #[test]
    fn survives_any_json_and_any_data(properties in any_json(), data in any_json()) {
        if let Ok(schema) = Schema::from_value(json!({"version": "2", "properties": properties})) {
            schema.columns();
            let defaults = schema.defaults();
            prop_assert!(schema.check(&defaults).is_ok());
            if let Value::Object(data) = data {
                let _ = schema.check(&data);
                let _ = schema.check_desired(&data);
            }
            // The served document reads as the same schema.
            let again = Schema::parse(&schema.document().to_string()).unwrap();
            prop_assert_eq!(again.columns(), schema.columns());
        }
    }
}
