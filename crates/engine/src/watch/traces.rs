//! Traces for OpenTelemetry: one trace for each file on its way, a span for each of its transfers, and below it one for each
//! state it was in. They are made of what the database has of a transfer when it is over, so they cost nothing on the way
//! (docs/decisions/0016). Best effort: what the collector does not take is gone.

use std::sync::Arc;

use base::{TransferId, UtcMicros, hex};
use db::{Direction, State, Step, Transfer};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::limits::{SPANS_MAX, TRACE_EVERY};
use crate::engine::Engine;
use crate::events::Event;

/// Kinds of spans (OTLP `SpanKind`).
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_OK` and `STATUS_CODE_ERROR` of OTLP.
const GOOD: u8 = 1;
const BAD: u8 = 2;

/// Sends traces until the engine stops, if there is a collector.
pub async fn run_traces(engine: Arc<Engine>) {
    let Some(courier) = engine.courier.get().filter(|courier| courier.has_traces()).cloned() else { return };
    let (mut events, mut stopping) = (engine.events(), engine.stopping());
    while !engine.is_stopping() {
        let mut spans = Vec::new();
        let until = Instant::now() + TRACE_EVERY;
        while spans.len() < SPANS_MAX {
            let event = tokio::select! {
                event = timeout_at(until, events.recv()) => event,
                _ = stopping.changed() => break,
            };
            match event {
                Ok(Ok(event)) => spans.extend(engine.spans_of(&event).await),
                Ok(Err(RecvError::Lagged(lost))) => tracing::warn!(lost, "too much happened to trace all of it"),
                Ok(Err(RecvError::Closed)) | Err(_) => break,
            }
        }
        if spans.is_empty() {
            continue;
        }
        let body = request(engine.gateway_id(), &engine.options.node, spans);
        let result = match courier.trace(body).await {
            Ok(answer) if (200..300).contains(&answer.status) => "sent",
            Ok(answer) => {
                tracing::warn!(status = answer.status, answer = answer.text, "the collector does not take traces");
                "lost"
            }
            Err(error) => {
                tracing::warn!(error, "the collector of traces does not answer");
                "lost"
            }
        };
        metrics::counter!("gatehouse_trace_requests_total", "result" => result).increment(1);
    }
}

impl Engine {
    /// The spans that an event completes.
    async fn spans_of(&self, event: &Event) -> Vec<Value> {
        let (id, only_route) = match event {
            Event::Received { transfer, .. }
            | Event::Delivered { transfer, .. }
            | Event::Failed { transfer, .. }
            | Event::Cancelled { transfer, .. }
            | Event::Interrupted { transfer, .. } => (*transfer, false),
            Event::Routed { transfer, .. } | Event::RouteFailed { transfer, .. } => (*transfer, true),
            _ => return Vec::new(),
        };
        let found = async {
            let t = self.db.transfers().get(id).await?;
            Ok::<_, db::DbError>((t, self.db.transfers().steps(id).await?))
        };
        match found.await {
            Ok((Some(t), steps)) if only_route => route_span(self.gateway_id(), &t, &steps).into_iter().collect(),
            Ok((Some(t), steps)) => spans(self.gateway_id(), &t, &steps),
            _ => Vec::new(),
        }
    }
}

/// The trace of a file on its way: the transfer that brought it and those that forward it share one.
pub(super) fn trace_id(gateway_id: &str, first: &str) -> String {
    short(&format!("trace|{gateway_id}|{first}"), 16)
}

/// The span of a transfer.
pub(super) fn span_id(gateway_id: &str, transfer: &str) -> String {
    short(&format!("span|{gateway_id}|{transfer}"), 8)
}

fn short(text: &str, octets: usize) -> String {
    hex(crate::sha256(text.as_bytes()).get(..octets).unwrap_or_default())
}

/// What all spans of a transfer share.
struct Place {
    trace: String,
    own: String,
    parent: Option<String>,
}

impl Place {
    fn of(gateway_id: &str, t: &Transfer) -> Self {
        let name = |id: TransferId| id.to_string();
        let first = t.route_from.unwrap_or(t.id);
        Self {
            trace: trace_id(gateway_id, &name(first)),
            own: span_id(gateway_id, &name(t.id)),
            parent: t.route_from.map(|from| span_id(gateway_id, &name(from))),
        }
    }

    fn child(&self, name: &str, (from, until): (UtcMicros, UtcMicros), n: i64) -> Value {
        json!({
            "traceId": self.trace,
            "spanId": short(&format!("child|{}|{n}|{name}", self.own), 8),
            "parentSpanId": self.own,
            "name": name,
            "kind": INTERNAL,
            "startTimeUnixNano": nanos(from),
            "endTimeUnixNano": nanos(until.max(from)),
        })
    }
}

/// A transfer and the states that it was in.
fn spans(gateway_id: &str, t: &Transfer, steps: &[Step]) -> Vec<Value> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Vec::new() };
    let place = Place::of(gateway_id, t);
    let good = matches!(t.state, State::Ended | State::EndedToAck | State::Acknowledged);
    let (name, kind) = match (t.direction, t.mode) {
        (Direction::In, _) => ("receive", SERVER),
        (Direction::Out, db::Mode::Responder) => ("fetch", SERVER),
        (Direction::Out, db::Mode::Initiator) => ("deliver", CLIENT),
    };
    let mut own = json!({
        "traceId": place.trace,
        "spanId": place.own,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanos(first.at),
        "endTimeUnixNano": nanos(last.at.max(first.at)),
        "attributes": attributes(t),
        "status": if good { json!({ "code": GOOD }) } else { json!({ "code": BAD, "message": t.err }) },
    });
    if let (Some(map), Some(parent)) = (own.as_object_mut(), &place.parent) {
        map.insert("parentSpanId".to_owned(), json!(parent));
    }
    let between = steps.iter().zip(steps.iter().skip(1));
    let states = between.map(|(step, next)| place.child(step.to.word(), (step.at, next.at), step.n));
    std::iter::once(own).chain(states).collect()
}

/// From the end of a received file to the decision where it goes.
fn route_span(gateway_id: &str, t: &Transfer, steps: &[Step]) -> Option<Value> {
    let ended = steps.iter().rev().find(|step| step.to.is_end() && step.from != Some(step.to))?;
    let decided = steps.last().filter(|step| step.n > ended.n)?;
    Some(Place::of(gateway_id, t).child("route", (ended.at, decided.at), decided.n))
}

fn attributes(t: &Transfer) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let number = |key: &str, value: i64| json!({ "key": key, "value": { "intValue": value.to_string() } });
    json!([
        number("gatehouse.transfer", t.id.0),
        text("gatehouse.site", &t.site),
        text("gatehouse.protocol", &t.protocol),
        text("gatehouse.state", t.state.word()),
        number("gatehouse.octets", t.size.unwrap_or(0)),
        number("gatehouse.retries", t.retries),
    ])
}

fn nanos(at: UtcMicros) -> String {
    i128::from(at.0).saturating_mul(1_000).to_string()
}

/// An export request of OTLP over HTTP in its JSON form.
fn request(gateway_id: &str, node: &str, spans: Vec<Value>) -> Vec<u8> {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let version = env!("CARGO_PKG_VERSION");
    let resource = json!({ "attributes": [
        text("service.name", "gatehouse"),
        text("service.version", version),
        text("service.instance.id", &format!("{gateway_id}/{node}")),
    ] });
    let scope = json!({ "name": "gatehouse", "version": version });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "scope": scope, "spans": spans }] }] })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_specification() {
        let (trace, span) = (trace_id("00ff00ff", "42"), span_id("00ff00ff", "42"));
        assert_eq!((trace.len(), span.len()), (32, 16));
        assert!(trace.chars().chain(span.chars()).all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()));
        assert_ne!(trace, trace_id("00ff00ff", "43"));
        assert_eq!(nanos(UtcMicros(1_795_000_000_000_001)), "1795000000000001000");
    }

    #[test]
    fn a_request_has_the_form_of_otlp() {
        let body: Value = serde_json::from_slice(&request("00ff00ff", "main", vec![json!({ "name": "x" })])).unwrap();
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["scopeSpans"][0]["spans"][0]["name"], "x");
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "gatehouse");
    }
}
