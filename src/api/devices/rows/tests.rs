//! Tests of reading and writing files of devices.

use proptest::prelude::*;

use super::*;

fn rows(format: Format, file: &[u8]) -> Result<Vec<Row>, Error> {
    let rows = format.read(file, None, 1000)?;
    let batch = |(_, text): &(i64, String)| serde_json::from_str::<Vec<Row>>(text).unwrap();
    Ok(rows.batches.iter().flat_map(batch).collect())
}

fn outcomes(file: &str) -> Vec<Result<String, String>> {
    let rows = rows(Format::Csv, file.as_bytes()).unwrap();
    let id = |row: Row| row.content.map(|device| device.id);
    rows.into_iter().map(id).collect()
}

#[test]
fn a_broken_row_costs_no_other() {
    let file = "id,description\na,\"two\nlines, \"\"quoted\"\"\"\nb,\"open\nc,\"x\"\nd,\"x\" y\n\ne\nf,\r\ng,\"last";
    let found = outcomes(file);
    let ids: Vec<&str> = found
        .iter()
        .map(|row| {
            row.as_ref()
                .map_or_else(|error| &error[..9], String::as_str)
        })
        .collect();
    assert_eq!(
        ids,
        ["a", "a quote i", "c", "a quote i", "e", "f", "a quote i"]
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_one_row_of_many() {
    let mut file = "id,name\n".to_owned();
    for number in 1..=10_000 {
        let quote = if number == 7_001 { "\"" } else { "" };
        file += &format!("d{number},{quote}n{number}\n");
    }
    let found = outcomes(&file);
    assert_eq!(found.len(), 10_000);
    let failed: Vec<usize> = (0..10_000).filter(|row| found[*row].is_err()).collect();
    assert_eq!(failed, [7_000]);
}

#[test]
fn errors_name_the_column() {
    for (row, expected) in [
        ("-,,", "id: must be letters"),
        ("a,[,", "metadata: is not valid JSON"),
        ("a,[],", "metadata: must be an object"),
        ("a,,x;", "labels[1]: must have 1 to 120"),
    ] {
        let file = format!("id,metadata,labels\n{row}\n");
        let error = outcomes(&file).remove(0).unwrap_err();
        assert!(error.starts_with(expected), "{row}: {error}");
    }
    for (row, expected) in [
        ("1,", "network_device_id: is required"),
        ("x,A", "network_connection_id: must be an integer, such"),
        ("0,A", "network_connection_id: must be an integer from 1"),
        ("1;2,A", "network_device_id: has 1 values"),
    ] {
        let file = format!("network_connection_id,network_device_id\n{row}\n");
        let error = outcomes(&file).remove(0).unwrap_err();
        assert!(error.starts_with(expected), "{row}: {error}");
    }
}

#[test]
fn a_header_that_cannot_be_meant_is_refused() {
    for (file, expected) in [
        ("", "body: must start with a header"),
        ("id\n", "body: must have at least one row"),
        (
            "id,colour\na,b\n",
            "header line: column \"colour\" is unknown",
        ),
        (
            "id,id\na,b\n",
            "header line: column \"id\" must not be repeated",
        ),
        ("\"id\na\n", "header line: a quote is opened"),
    ] {
        let error = Format::Csv
            .read(file.as_bytes(), None, 1000)
            .err()
            .unwrap()
            .to_string();
        assert!(error.starts_with(expected), "{file:?}: {error}");
    }
}

fn device() -> impl Strategy<Value = NewDevice> {
    let address = (
        1..1000_i64,
        "[A-Z0-9\"]{1,16}|['=+@ -]{1,3}[A-Z0-9.,]{0,9}|[0-9]{1,3}E[+][0-9]|[1-9]{15}0{0,4}",
    )
        .prop_map(|(connection, id)| crate::store::devices::Address {
            network_connection_id: connection,
            network_device_id: id,
        });
    (
        "[a-z0-9]{1,20}",
        "[^\\p{Cc}]{0,20}|['=+@-]{1,4}[^\\p{Cc}]{0,9}|'{0,2}#N/A",
        "[a-z,\"\r\n\t ;]{0,30}|['=+@\t\r-]{1,4}[a-z\n\"]{0,9}",
        proptest::option::of(Just("a/b:1".to_owned())),
        proptest::collection::btree_set("[a-zü-][a-zü=-]{0,9}", 0..4),
        proptest::collection::vec(address, 0..3),
        "[^\\p{Cc}]{0,10}",
    )
        .prop_map(
            |(id, name, description, driver, labels, connections, note)| NewDevice {
                id,
                name,
                description,
                driver,
                labels: labels.into_iter().collect(),
                metadata: json!({"note": note}).as_object().unwrap().clone(),
                connections,
            },
        )
}

proptest! {
    #[test]
    fn survives_any_bytes(mut file in proptest::collection::vec(any::<u8>(), 0..200), with_header: bool) {
        if with_header {
            file.splice(0..0, *b"id,name,labels\n");
        }
        for format in [Format::Csv, Format::Ndjson] {
            if let Ok(rows) = rows(format, &file) {
                for (index, row) in rows.iter().enumerate() {
                    prop_assert_eq!(row.number, index as i64 + 1);
                    if let Err(error) = &row.content {
                        prop_assert!(!error.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn survives_pieces_of_csv(pieces in proptest::collection::vec("[a\",;\r\n]|\"\"|,\"", 0..60)) {
        let file = format!("id,name\n{}", pieces.concat());
        if let Ok(rows) = rows(Format::Csv, file.as_bytes()) {
            for row in rows {
                if let Err(error) = row.content {
                    let places = ["id: ", "name: ", "the row has ", "a quote ", "a row ", "the quotes "];
                    prop_assert!(places.iter().any(|place| error.starts_with(place)), "{}", error);
                }
            }
        }
    }

    #[test]
    fn survives_pieces_of_ndjson(
        pieces in proptest::collection::vec("[{}:,\"a\n ]|\\[|\\]|\"id\":|\"labels\":|null|1", 0..40)
    ) {
        if let Ok(rows) = rows(Format::Ndjson, pieces.concat().as_bytes()) {
            for row in rows {
                if let Err(error) = row.content {
                    let place = error.split_once(": ").map(|(place, _)| place);
                    prop_assert!(place.is_some_and(|place| !place.is_empty()), "{}", error);
                }
            }
        }
    }

    #[test]
    fn reads_what_it_writes(mut devices in proptest::collection::vec(device(), 1..4)) {
        for device in &mut devices {
            // A device must not have the same address twice.
            device.connections.dedup();
            if let [one, other, ..] = &mut device.connections[..] {
                other.network_connection_id = one.network_connection_id + 1;
            }
        }
        for format in [Format::Csv, Format::Ndjson] {
            let file = format.head() + &format.write(&devices).unwrap();
            let found = rows(format, file.as_bytes()).unwrap();
            let read: Vec<_> = found.into_iter().map(|row| row.content).collect();
            let expected: Vec<_> = devices.iter().cloned().map(Ok).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
