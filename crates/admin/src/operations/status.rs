//! The gateway at a glance, on one screen.

use base::Shown;
use engine::Status;
use serde_json::json;

use crate::changes::failed;
use crate::{Context, Effect, Line, OpError, Operation, Output, Param, Resource, Right, Tone};

/// Characters of a text within a line.
const TEXT_CHARS_MAX: usize = 90;

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[Operation {
    name: "status",
    title: "Show what runs, what waits, what failed and what needs a person; exit code 1 if something does",
    right: Right { resource: Resource::Transfers, letter: 'R' },
    effect: Effect::Read,
    params: || vec![Param::switch("watch", "go on showing it, every two seconds")],
    run: |context, _| Box::pin(status(context)),
}];

async fn status(context: &Context) -> Result<Output, OpError> {
    let status = context.engine.status().await.map_err(failed)?;
    let mut lines = Vec::new();
    program(&status, &mut lines);
    queue(&status, &mut lines);
    room(&status, &mut lines);
    failures(&status, &mut lines);
    needs(&status, &mut lines);
    Ok(Output::Report { lines, needs_person: status.needs_person(), facts: json!(status) })
}

fn row(name: &str, text: impl std::fmt::Display) -> Line {
    Line::plain(format!("{name:<10} {text}"))
}

fn program(s: &Status, lines: &mut Vec<Line>) {
    let who = format!("Gatehouse {}, node {}, id {}", s.version, s.node, s.gateway_id);
    lines.push(match (&s.frozen, s.running) {
        (Some(_), _) => Line::of(Tone::Bad, format!("{:<10} frozen ({who})", "gateway")),
        (None, true) => {
            let text = format!("{:<10} running for {} ({who})", "gateway", lasted(s.uptime_s));
            Line::of(Tone::Good, text)
        }
        (None, false) => {
            Line::of(Tone::Bad, format!("{:<10} NOT RUNNING ({who}); this is what its database says", "gateway"))
        }
    });
    for l in &s.listeners {
        let (tone, state) = match l.error.as_str() {
            "" => (Tone::Plain, "listening".to_owned()),
            error => (Tone::Bad, format!("not listening: {error}")),
        };
        lines.push(Line::of(tone, format!("{:<10} {} {} {state}", "listener", l.name, l.address)));
    }
    if s.running {
        lines.push(row("sessions", format!("{} in, {} out", s.sessions_in, s.sessions_out)));
    }
}

fn queue(s: &Status, lines: &mut Vec<Line>) {
    let q = &s.queue;
    let n = |count: i64| if count >= q.counted_to { format!("{count}+") } else { count.to_string() };
    lines.push(row(
        "queue",
        format!(
            "{} to send ({} due, {} retrying), {} being sent, {} being received, {} at disposal",
            n(q.to_send),
            n(q.due),
            n(q.retrying),
            n(q.sending),
            n(q.receiving),
            n(q.at_disposal)
        ),
    ));
    let text = format!(
        "{} suspended ({} to verify), {} interrupted, {} frozen",
        n(q.suspended),
        q.to_verify,
        n(q.interrupted),
        n(q.frozen)
    );
    lines.push(Line::of(if q.suspended > 0 { Tone::Warn } else { Tone::Plain }, format!("{:<10} {text}", "")));
    if let Some(oldest) = &s.oldest {
        let site = Shown::from(oldest.site.as_str());
        let text = format!(
            "transfer {} to {site} waits since {}, {} tries",
            oldest.transfer,
            lasted(oldest.waits_s),
            oldest.retries
        );
        lines.push(row("oldest", text));
    }
    let t = &s.today;
    let text = format!(
        "{} files ({}) received, {} files ({}) delivered; {} logins and {} TLS handshakes refused in 24 h",
        t.received_files,
        size(t.received_octets),
        t.delivered_files,
        size(t.delivered_octets),
        s.logins_refused,
        s.handshakes_refused
    );
    lines.push(row("today", text));
}

fn room(s: &Status, lines: &mut Vec<Line>) {
    let d = &s.disk;
    let octets = |n: u64| size(i64::try_from(n).unwrap_or(i64::MAX));
    lines.push(row(
        "disk",
        format!(
            "{} free of {} (reserve {}), database {}",
            octets(d.store_free),
            octets(d.store_total),
            octets(d.store_reserve),
            size(d.database)
        ),
    ));
    lines.push(row(
        "backup",
        match &s.backup {
            Some(backup) => format!("{} ago, {}", lasted(backup.age_s), backup.folder),
            None => "none was made by this gateway".to_owned(),
        },
    ));
    for hook in s.webhooks.iter().filter(|hook| hook.waiting + hook.parked > 0) {
        let text = format!("{}: {} events wait, {} given up", hook.name, hook.waiting, hook.parked);
        lines.push(row("webhook", text));
    }
    let text = format!("{} errors, {} warnings of check", s.config_errors, s.config_warnings);
    lines.push(row("config", text));
}

fn failures(s: &Status, lines: &mut Vec<Line>) {
    if s.failures.is_empty() {
        lines.push(row("failures", "none in 24 h"));
        return;
    }
    lines.push(Line::of(Tone::Head, "failures of the last 24 h".to_owned()));
    for f in &s.failures {
        let site = if f.site.is_empty() { "-".to_owned() } else { Shown::from(f.site.as_str()).to_string() };
        let text = base::brief(&Shown::from(f.last_text.as_str()).to_string(), TEXT_CHARS_MAX);
        lines.push(Line::plain(format!("  {:>6} x {site} {}: {text}", f.times, f.cause)));
        if let Some(id) = f.last_transfer {
            lines.push(Line::plain(format!("           gatehouse why {id}")));
        }
    }
    if s.failures_left_out > 0 {
        lines.push(Line::plain(format!("  and {} more groups: see --json", s.failures_left_out)));
    }
}

fn needs(s: &Status, lines: &mut Vec<Line>) {
    if s.needs.is_empty() {
        lines.push(Line::of(Tone::Good, "nothing needs a person".to_owned()));
        return;
    }
    lines.push(Line::of(Tone::Head, "needs a person".to_owned()));
    for need in &s.needs {
        let (mark, tone) = match (need.acknowledged, need.severity.as_str()) {
            (true, _) => ("noted", Tone::Plain),
            (false, "error") => ("ERROR", Tone::Bad),
            _ => ("warn", Tone::Warn),
        };
        let number = need.alarm.map(|id| format!(" (alarm {id})")).unwrap_or_default();
        lines.push(Line::of(tone, format!("  {mark:<5} {}: {}{number}", need.cause, need.effect)));
        lines.push(Line::plain(format!("        {}", need.next_step)));
    }
}

/// A time span for people.
pub(super) fn lasted(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A size for people.
pub(super) fn size(octets: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (octets, 0, 0_usize);
    while whole >= 1024 && unit.saturating_add(1) < UNITS.len() {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit = unit.saturating_add(1);
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_read_well() {
        assert_eq!([0, 1023, 1024, 1536, 5 << 30].map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([5, 300, 7_260, 200_000].map(lasted), ["5 s", "5 min", "2 h 1 min", "2 days"]);
    }
}
