//! Checks of names, bodies and secrets against the descriptor of their kind.

use crate::field::Field;
use crate::object::{Body, Kind, Problem, Value};

/// Reads the text of a command line as a value of `field`.
///
/// # Errors
/// What is wrong with it, and what is expected.
pub fn value_from_text(kind: Kind, field: &Field, text: &str) -> Result<Value, Problem> {
    let _ = (kind, field, text);
    todo!()
}

/// Checks the name of an object.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(kind: Kind, name: &str) -> Result<(), Problem> {
    let _ = (kind, name);
    todo!()
}

/// Checks the value of a secret field.
///
/// # Errors
/// What is wrong with it; never the value.
pub fn check_secret(kind: Kind, field: &Field, secret: &str) -> Result<(), Problem> {
    let _ = (kind, field, secret);
    todo!()
}

/// Checks a whole body and gives it in normal form: canonical names, typed values, defaults not filled in.
///
/// # Errors
/// Every problem of severity Error.
pub fn check_body(kind: Kind, body: &Body) -> Result<Body, Vec<Problem>> {
    let _ = (kind, body);
    todo!()
}

/// Everything a person should know about a body: warnings too, with the object's name.
#[must_use]
pub fn body_warnings(kind: Kind, name: &str, body: &Body) -> Vec<Problem> {
    let _ = (kind, name, body);
    todo!()
}
