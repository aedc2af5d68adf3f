//! An event as others get it: CloudEvents 1.0 in structured JSON, signed after Standard Webhooks. Pure.

use aws_lc_rs::hmac;
use base::UtcMicros;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use db::{RouteState, State};
use model::{EVENT_TYPE_PREFIX, EVENT_TYPES};
use serde_json::{Map, Value, json};

use super::traces::{span_id, trace_id};
use crate::vfd::octets_of;

/// Media type of the body.
pub(super) const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";
/// What stands before the octets of a secret.
const SECRET_PREFIX: &str = "whsec_";
/// Octets of a secret.
const SECRET_OCTETS: std::ops::RangeInclusive<usize> = 24..=64;

/// A signed event in its making.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rendered {
    /// Stable, however often it is sent.
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

/// The event as JSON.
pub(super) fn rendered(gateway_id: &str, event: &db::Event) -> Rendered {
    let own: Value = serde_json::from_str(&event.json).unwrap_or_default();
    let (kind, of_transfer) = match EVENT_TYPES.iter().find(|one| one.code == event.code) {
        Some(one) => (one.name, one.code != one.name),
        None => (event.code.as_str(), false),
    };
    let (id, subject, data) = match of_transfer {
        true => {
            let n = own.get("n").and_then(Value::as_i64).unwrap_or(0);
            let id = format!("{gateway_id}-{}-{n}-{}", event.subject, event.code);
            (id, format!("transfer/{}", event.subject), transfer(gateway_id, &event.subject, &own))
        }
        false => (format!("{gateway_id}-e{}", event.seq), event.subject.clone(), own.clone()),
    };
    let mut all = json!({
        "specversion": "1.0",
        "id": id,
        "source": format!("/gatehouse/{gateway_id}"),
        "type": format!("{EVENT_TYPE_PREFIX}{kind}"),
        "time": event.at.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    });
    if let (Some(map), false) = (all.as_object_mut(), subject.is_empty()) {
        map.insert("subject".to_owned(), Value::String(subject));
    }
    if let (Some(map), true) = (all.as_object_mut(), of_transfer) {
        map.insert("traceparent".to_owned(), Value::String(traceparent(gateway_id, &event.subject, &own)));
    }
    Rendered { id, body: all.to_string().into_bytes() }
}

/// The trace that the change belongs to (CloudEvents, extension for distributed tracing; W3C Trace Context).
fn traceparent(gateway_id: &str, id: &str, own: &Value) -> String {
    let first = own.get("route_from").and_then(Value::as_i64).map_or_else(|| id.to_owned(), |from| from.to_string());
    format!("00-{}-{}-01", trace_id(gateway_id, &first), span_id(gateway_id, id))
}

/// The fields of connected-systems.md section 2.3 that a transfer of this gateway has; null where one does not apply.
fn transfer(gateway_id: &str, id: &str, own: &Value) -> Value {
    let text = |name: &str| own.get(name).and_then(Value::as_str).unwrap_or_default();
    let given = |name: &str| match own.get(name) {
        Some(Value::String(text)) if text.is_empty() => Value::Null,
        Some(value) => value.clone(),
        None => Value::Null,
    };
    let time =
        |name: &str| own.get(name).and_then(Value::as_i64).map_or(Value::Null, |at| json!(UtcMicros(at).to_string()));
    let state = |letter: &str| State::parse(letter);
    let word = |letter: &str| state(letter).map_or(Value::Null, |state| json!(state.word()));
    // Octets that are no UTF-8 become replacement characters: names are for people and programs to look at.
    let name = |name: &str| match text(name) {
        "" => Value::Null,
        escaped => json!(String::from_utf8_lossy(&octets_of(escaped))),
    };
    let first = own.get("route_from").and_then(Value::as_i64).map_or_else(|| id.to_owned(), |from| from.to_string());
    let mut map = Map::new();
    for (field, value) in [
        ("local_id", id.parse::<i64>().map_or(Value::Null, |id| json!(id))),
        ("cycle_id", json!(format!("{gateway_id}-{first}"))),
        ("position_number", given("n")),
        ("state", word(text("to"))),
        ("previous_state", word(text("from"))),
        ("route_state", RouteState::parse(text("route")).map_or(Value::Null, |state| json!(state.word()))),
        ("is_end", json!(state(text("to")).is_some_and(State::is_end))),
        ("direction", json!(if text("direction") == "I" { "in" } else { "out" })),
        ("is_server", json!(text("mode") == "R")),
        ("protocol", given("protocol")),
        ("site", given("site")),
        ("local_site", given("local")),
        ("user_id", given("login")),
        ("application", given("appli")),
        ("virtual_dir_name", name("dir")),
        ("file_name", name("file")),
        ("file_size", given("size")),
        ("transmitted_bytes", given("done")),
        ("priority", given("priority")),
        ("creation_date", time("created_at")),
        ("earliest_date", time("not_before")),
        ("latest_date", time("not_after")),
        ("end_date", time("ended_at")),
        ("retry_number", given("retries")),
        ("route_from", given("route_from")),
        ("message_id", given("message_id")),
        ("return_code", json!({ "reason": given("reason"), "diag": given("diag") })),
        ("return_message", given("err")),
        ("note", given("note")),
    ] {
        map.insert(field.to_owned(), value);
    }
    Value::Object(map)
}

/// The key of a secret as Standard Webhooks writes it: `whsec_` and base64.
///
/// # Errors
/// What is wrong with it; never the secret.
pub fn signing_key(secret: &str) -> Result<Vec<u8>, String> {
    let text = secret.trim();
    let octets = BASE64_STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text));
    match octets {
        Ok(octets) if SECRET_OCTETS.contains(&octets.len()) => Ok(octets),
        _ => Err(format!("a webhook's secret is {SECRET_PREFIX} and 24 to 64 octets in base64")),
    }
}

/// A new secret in that form.
///
/// # Errors
/// If the system gives no random numbers.
pub fn new_secret() -> Result<String, String> {
    let octets = base::random::<32>().map_err(|e| e.to_string())?;
    Ok(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(octets)))
}

/// The headers that sign an event: one signature for each key.
pub(super) fn signed(event: &Rendered, now: UtcMicros, keys: &[Vec<u8>]) -> Vec<(String, String)> {
    let at = now.seconds().to_string();
    let mut signature = Vec::with_capacity(keys.len());
    for key in keys {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        for part in [event.id.as_bytes(), b".", at.as_bytes(), b".", &event.body] {
            context.update(part);
        }
        signature.push(format!("v1,{}", BASE64_STANDARD.encode(context.sign())));
    }
    let header = |name: &str, value: String| (name.to_owned(), value);
    vec![
        header("content-type", MEDIA_TYPE.to_owned()),
        header("webhook-id", event.id.clone()),
        header("webhook-timestamp", at),
        header("webhook-signature", signature.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UtcMicros = UtcMicros(1_795_000_000_000_000);

    fn event(code: &str, json: &str) -> db::Event {
        db::Event {
            seq: 9,
            at: AT,
            code: code.to_owned(),
            subject: "42".to_owned(),
            json: json.to_owned(),
            tries: 0,
            next_at: AT,
            answer: String::new(),
        }
    }

    // CON-3: the fields of section 2.3, null where not applicable; the same id however often.
    #[test]
    fn a_change_of_a_transfer_is_a_cloud_event() {
        let json = r#"{"from":"P","to":"E","route":"E","site":"acme","direction":"O","mode":"I","file":"a.xml",
            "size":5,"n":3,"created_at":1795000000000000,"not_before":null,"err":"","reason":0,"route_from":41}"#;
        let made = rendered("00ff00ff", &event("SE", json));
        let all: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(made.id, "00ff00ff-42-3-SE");
        assert_eq!(made, rendered("00ff00ff", &db::Event { seq: 77, tries: 4, ..event("SE", json) }));
        let told = ["specversion", "type", "source", "subject", "id"].map(|name| all[name].as_str().unwrap());
        assert_eq!(told, ["1.0", "gatehouse.transfer.ended", "/gatehouse/00ff00ff", "transfer/42", "00ff00ff-42-3-SE"]);
        let data = &all["data"];
        assert_eq!((&data["state"], &data["previous_state"]), (&json!("ended"), &json!("processing")));
        assert_eq!((&data["is_end"], &data["is_server"]), (&json!(true), &json!(false)));
        assert_eq!((&data["cycle_id"], &data["earliest_date"]), (&json!("00ff00ff-41"), &Value::Null));
        assert_eq!((&data["file_size"], &data["message_id"]), (&json!(5), &Value::Null));
        let other = rendered("00ff00ff", &event("alarm.opened", "{\"rule\":\"disk\"}"));
        let all: Value = serde_json::from_slice(&other.body).unwrap();
        assert_eq!((&all["type"], &all["data"]["rule"]), (&json!("gatehouse.alarm.opened"), &json!("disk")));
        assert_eq!(other.id, "00ff00ff-e9");
        assert!(all.get("traceparent").is_none());
    }

    #[test]
    fn every_state_has_its_type() {
        for state in State::ALL {
            let code = format!("S{}", state.letter());
            let kind = EVENT_TYPES.iter().find(|one| one.code == code).unwrap();
            assert_eq!(kind.name, format!("transfer.{}", state.word().replace(' ', "_")));
        }
    }

    // The vector of the Standard Webhooks libraries.
    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        let key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let event =
            Rendered { id: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(), body: b"{\"test\": 2432232314}".to_vec() };
        let now = UtcMicros(1_614_265_330_000_000);
        let headers = signed(&event, now, &[key.clone(), key]);
        let one = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[3], ("webhook-signature".to_owned(), format!("{one} {one}")));
        assert!(signing_key("whsec_dG9vc2hvcnQ=").is_err() && signing_key("not base64!").is_err());
        assert!(signing_key(&new_secret().unwrap()).is_ok());
    }
}
