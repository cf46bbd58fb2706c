//! Messages in the binary encoding of protocol buffers.
//!
//! Lives here: reading and writing by the schema. Does not: JSON (`decode`, `encode`), gRPC framing (`door`).

use super::schema::{Field, Kind, schema};
use super::wire::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

const CUT_OFF: &str = "unexpected EOF";

/// Reads a message; an error is what the Go library says.
pub(crate) fn read(name: &str, mut bytes: &[u8]) -> Result<Message, String> {
    let mut message = Map::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| CUT_OFF.to_owned())?;
        let field = schema().fields(name).iter().find(|field| field.number == number);
        match key & 7 {
            0 => {
                let value = varint(&mut bytes)?;
                put(&mut message, field, |field| Ok(scalar(field, value)))?;
            }
            2 => {
                let piece = piece(&mut bytes)?;
                put(&mut message, field, |field| inner(field, piece))?;
            }
            _ => return Err(CUT_OFF.to_owned()),
        }
    }
    Ok(message)
}

/// Writes a message.
pub(crate) fn write(name: &str, value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in schema().fields(name) {
        match value.get(&field.name) {
            Some(Value::Array(items)) if field.repeated => {
                items.iter().for_each(|item| write_one(&mut bytes, field, item));
            }
            Some(one) => write_one(&mut bytes, field, one),
            None => {}
        }
    }
    bytes
}

/// One length-delimited field, for messages that are in no schema.
pub(crate) fn delimited(bytes: &mut Vec<u8>, number: u32, content: &[u8]) {
    write_varint(bytes, u64::from(number) << 3 | 2);
    write_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// One number field, for messages that are in no schema.
pub(crate) fn plain_number(bytes: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(bytes, u64::from(number) << 3);
    write_varint(bytes, value);
}

fn put(
    message: &mut Message,
    field: Option<&Field>,
    value: impl FnOnce(&Field) -> Result<Value, String>,
) -> Result<(), String> {
    let Some(field) = field else { return Ok(()) };
    let value = value(field)?;
    if !field.repeated {
        message.insert(field.name.clone(), value);
    } else if let Some(Value::Array(items)) = message.get_mut(&field.name) {
        items.push(value);
    } else {
        message.insert(field.name.clone(), Value::Array(vec![value]));
    }
    Ok(())
}

fn scalar(field: &Field, value: u64) -> Value {
    match field.kind {
        Kind::Bool => Value::Bool(value != 0),
        _ => Value::from(value.cast_signed()),
    }
}

fn inner(field: &Field, piece: &[u8]) -> Result<Value, String> {
    match &field.kind {
        Kind::Message(name) => read(name, piece).map(Value::Object),
        Kind::Bytes => Ok(Value::from(STANDARD.encode(piece))),
        Kind::Text => Ok(Value::from(String::from_utf8_lossy(piece).into_owned())),
        _ => Err(CUT_OFF.to_owned()),
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(|| CUT_OFF.to_owned())?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CUT_OFF.to_owned())
}

fn piece<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = usize::try_from(varint(bytes)?).map_err(|_| CUT_OFF.to_owned())?;
    let (piece, rest) = bytes.split_at_checked(length).ok_or_else(|| CUT_OFF.to_owned())?;
    *bytes = rest;
    Ok(piece)
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn write_one(bytes: &mut Vec<u8>, field: &Field, value: &Value) {
    match &field.kind {
        Kind::Message(name) => delimited(bytes, field.number, &write(name, value)),
        Kind::Text => write_text(bytes, field, value.as_str().unwrap_or_default().as_bytes()),
        Kind::Bytes => {
            let decoded = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
            write_text(bytes, field, &decoded);
        }
        Kind::Map => {
            for (key, member) in value.as_object().into_iter().flatten() {
                let mut entry = Vec::new();
                delimited(&mut entry, 1, key.as_bytes());
                delimited(&mut entry, 2, member.as_str().unwrap_or_default().as_bytes());
                delimited(bytes, field.number, &entry);
            }
        }
        Kind::Bool | Kind::Small | Kind::Large { .. } | Kind::Choice(_) => {
            let number = value.as_bool().map_or_else(|| value.as_i64().unwrap_or_default(), i64::from);
            if number != 0 {
                plain_number(bytes, field.number, number.cast_unsigned());
            }
        }
    }
}

fn write_text(bytes: &mut Vec<u8>, field: &Field, content: &[u8]) {
    if field.repeated || !content.is_empty() {
        delimited(bytes, field.number, content);
    }
}
