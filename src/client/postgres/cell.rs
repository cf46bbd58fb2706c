//! Values of a database and JSON: the cells of a row that came, and the values that are bound to a statement.
//!
//! Lives here: which types are read, how each becomes JSON, and JSON as the text that the server reads. Does not:
//! asking for rows (`postgres`), or moments of time (`moment`).

use super::moment;
use base64::prelude::*;
use bytes::BytesMut;
use serde_json::{Value, json};
use tokio_postgres::types::{self, Format, FromSql, IsNull, Kind, ToSql, Type};

/// Why a value is not to be had, in the words of whoever refused it.
type Wrong = Box<dyn std::error::Error + Sync + Send>;

/// One cell of a row, as JSON.
///
/// Truth values and whole numbers stay what they are, and so do floats that are numbers. `numeric`, moments, `uuid`
/// and what an `enum` names become text, `bytea` base64, lists arrays, and `json` is what it holds.
#[derive(Debug)]
pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Wrong> {
        match kind.kind() {
            Kind::Domain(inner) => Self::from_sql(inner, raw),
            Kind::Enum(_) => text(raw).map(Self),
            Kind::Array(_) => {
                let items = Vec::<Cell>::from_sql(kind, raw)?;
                Ok(Self(items.into_iter().map(|item| item.0).collect()))
            }
            _ => simple(kind, raw).map(Self),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Wrong> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        is_read(kind)
    }
}

/// Whether values of a type become JSON.
pub(super) fn is_read(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Domain(inner) | Kind::Array(inner) => is_read(inner),
        Kind::Enum(_) => true,
        _ => is_text(kind) || SIMPLE.contains(kind),
    }
}

const SIMPLE: [Type; 17] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::JSON,
    Type::JSONB,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::DATE,
    Type::TIME,
    Type::UUID,
    Type::BYTEA,
    Type::VOID,
];

/// `citext` belongs to an extension, so it has no number of its own.
fn is_text(kind: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
        || kind.name() == "citext"
}

fn simple(kind: &Type, raw: &[u8]) -> Result<Value, Wrong> {
    match *kind {
        Type::BOOL => bool::from_sql(kind, raw).map(Value::from),
        Type::INT2 => i16::from_sql(kind, raw).map(Value::from),
        Type::INT4 => i32::from_sql(kind, raw).map(Value::from),
        Type::INT8 => i64::from_sql(kind, raw).map(Value::from),
        Type::OID => u32::from_sql(kind, raw).map(Value::from),
        Type::FLOAT4 => Ok(float(&f32::from_sql(kind, raw)?.to_string())),
        Type::FLOAT8 => Ok(float(&f64::from_sql(kind, raw)?.to_string())),
        Type::NUMERIC => numeric(raw),
        Type::JSON => Ok(serde_json::from_slice(raw)?),
        Type::JSONB => jsonb(raw),
        Type::TIMESTAMP => moment::timestamp(i64::from_sql(&Type::INT8, raw)?),
        Type::TIMESTAMPTZ => moment::timestamptz(i64::from_sql(&Type::INT8, raw)?),
        Type::DATE => moment::date(i32::from_sql(&Type::INT4, raw)?),
        Type::TIME => moment::time(i64::from_sql(&Type::INT8, raw)?),
        Type::UUID => uuid(raw),
        Type::BYTEA => Ok(Value::from(BASE64_STANDARD.encode(raw))),
        Type::VOID => Ok(Value::Null),
        _ => text(raw),
    }
}

fn text(raw: &[u8]) -> Result<Value, Wrong> {
    Ok(Value::from(std::str::from_utf8(raw)?))
}

/// A float by its shortest decimal form; JSON has no number that is infinite or none, so these stay text.
fn float(shortest: &str) -> Value {
    match shortest.parse::<f64>() {
        Ok(number) if number.is_finite() => json!(number),
        _ => Value::from(match shortest {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            _ => "NaN",
        }),
    }
}

/// The first byte of `jsonb` is the version of its form: there has only been 1.
fn jsonb(raw: &[u8]) -> Result<Value, Wrong> {
    match raw {
        [1, text @ ..] => Ok(serde_json::from_slice(text)?),
        _ => Err("a form of jsonb that is not known".into()),
    }
}

fn uuid(raw: &[u8]) -> Result<Value, Wrong> {
    let number = u128::from_be_bytes(raw.try_into()?);
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(Value::from(parts.join("-")))
}

/// `numeric` travels as groups of four decimal digits: how many, the place of the first, the sign, and how many digits
/// are shown behind the point.
fn numeric(raw: &[u8]) -> Result<Value, Wrong> {
    let words: Vec<i16> = raw.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
    let [_, weight, sign, shown, groups @ ..] = words.as_slice() else {
        return Err("a numeric that is too short".into());
    };
    let sign = match sign.cast_unsigned() {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Ok("NaN".into()),
        0xD000 => return Ok("Infinity".into()),
        0xF000 => return Ok("-Infinity".into()),
        _ => return Err("a numeric whose sign is not known".into()),
    };
    let group = |place: i16| groups.get(usize::try_from(*weight - place).ok()?).copied();
    let digits = |place: i16| format!("{:04}", group(place).unwrap_or(0));
    let whole: String = (0..=(*weight).max(0)).rev().map(digits).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let shown = usize::try_from(*shown)?;
    let behind: String = (1..).map(|place: i16| digits(-place)).take(shown.div_ceil(4)).collect();
    let point = if shown > 0 { "." } else { "" };
    Ok(Value::from(format!("{sign}{whole}{point}{}", &behind[..shown])))
}

/// A value that is bound to a statement: the server reads its text as the type that it wants there.
#[derive(Debug)]
pub(super) struct Bound<'v>(pub(super) &'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        match bound_text(self.0, kind)? {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    types::to_sql_checked!();
}

/// The text of a value as the server reads it; none for null.
fn bound_text(value: &Value, kind: &Type) -> Result<Option<String>, Wrong> {
    let is_json = [Type::JSON, Type::JSONB].contains(kind);
    Ok(Some(match (value, kind.kind()) {
        (Value::Null, _) => return Ok(None),
        (value, _) if is_json => value.to_string(),
        (Value::Array(items), Kind::Array(inner)) => list(items, inner)?,
        (Value::String(text), _) if *kind == Type::BYTEA => hex(&BASE64_STANDARD.decode(text)?),
        (Value::String(text), _) => text.clone(),
        (Value::Bool(_) | Value::Number(_), _) => value.to_string(),
        (Value::Array(_), _) => return Err(format!("a list cannot become {kind}").into()),
        (Value::Object(_), _) => return Err(format!("a map cannot become {kind}").into()),
    }))
}

/// `{"a","b",NULL}`
fn list(items: &[Value], inner: &Type) -> Result<String, Wrong> {
    let item = |item: &Value| {
        let text = bound_text(item, inner)?;
        Ok(text
            .map_or("NULL".to_owned(), |it| format!("\"{}\"", it.replace('\\', "\\\\").replace('"', "\\\""))))
    };
    let items: Result<Vec<String>, Wrong> = items.iter().map(item).collect();
    Ok(format!("{{{}}}", items?.join(",")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(words: &[i16]) -> Value {
        let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        numeric(&raw).unwrap()
    }

    #[test]
    fn a_numeric_keeps_every_digit_that_is_shown() {
        assert_eq!(number(&[2, 1, 0, 0, 1, 2345]), "12345");
        assert_eq!(number(&[2, 0, 0x4000, 2, 12, 3400]), "-12.34");
        assert_eq!(number(&[0, 0, 0, 3]), "0.000");
        assert_eq!(number(&[1, -2, 0, 8, 12]), "0.00000012");
        assert_eq!(number(&[1, 2, 0, 0, 1]), "100000000");
        assert_eq!(number(&[0, 0, 0xC000_u16.cast_signed(), 0]), "NaN");
        assert_eq!(number(&[0, 0, 0xF000_u16.cast_signed(), 0]), "-Infinity");
        assert!(numeric(&[0, 1]).is_err());
        assert!(numeric(&[0, 0, 0, 0, 0x12, 0x34, 0, 0]).is_err());
    }

    #[test]
    fn floats_are_the_numbers_that_people_wrote() {
        assert_eq!(float(&0.1_f32.to_string()), json!(0.1));
        assert_eq!(float(&f64::MAX.to_string()), json!(f64::MAX));
        assert_eq!(float(&f64::NAN.to_string()), "NaN");
        assert_eq!(float(&f32::NEG_INFINITY.to_string()), "-Infinity");
    }

    #[test]
    fn bytes_identities_and_json_have_one_form_each() {
        let cell = |kind: &Type, raw: &[u8]| Cell::from_sql(kind, raw).unwrap().0;
        assert_eq!(cell(&Type::BYTEA, b"\x00\xffab"), "AP9hYg==");
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(cell(&Type::UUID, &bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(cell(&Type::JSONB, b"\x01{\"b\":[1,null]}"), json!({ "b": [1, null] }));
        assert!(Cell::from_sql(&Type::JSONB, b"\x02{}").is_err());
        assert!(Cell::from_sql(&Type::TEXT, b"\xff").is_err());
    }

    #[test]
    fn a_type_that_is_not_known_is_not_read() {
        assert!(is_read(&Type::TEXT_ARRAY) && is_read(&Type::NUMERIC) && is_read(&Type::JSONB_ARRAY));
        for kind in
            [Type::INTERVAL, Type::POINT, Type::INET, Type::INT4_RANGE, Type::RECORD, Type::POINT_ARRAY]
        {
            assert!(!is_read(&kind), "{kind}");
        }
    }

    #[test]
    fn bound_values_are_texts_that_the_server_reads_as_its_own_type() {
        let text = |value: Value, kind: &Type| bound_text(&value, kind).unwrap();
        assert_eq!(text(Value::Null, &Type::TEXT), None);
        assert_eq!(text(json!("it's"), &Type::TEXT).unwrap(), "it's");
        assert_eq!(text(json!(7), &Type::TEXT).unwrap(), "7");
        assert_eq!(text(json!("a"), &Type::JSONB).unwrap(), "\"a\"");
        assert_eq!(text(json!("AP8="), &Type::BYTEA).unwrap(), "\\x00ff");
        let list = text(json!(["a\"b\\c", null, "NULL"]), &Type::TEXT_ARRAY).unwrap();
        assert_eq!(list, r#"{"a\"b\\c",NULL,"NULL"}"#);
        let refused = |value: Value| bound_text(&value, &Type::INT4).unwrap_err().to_string();
        assert_eq!(refused(json!([1])), "a list cannot become int4");
        assert_eq!(refused(json!({ "a": 1 })), "a map cannot become int4");
    }
}
