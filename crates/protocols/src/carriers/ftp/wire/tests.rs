//! The codec against its vectors, against itself, and against any octets.

use base::{UtcMicros, octets_text};
use bytes::{BufMut, Bytes};
use proptest::prelude::*;

use super::*;

/// Octets of a text with `\xNN` in it.
fn octets(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut out = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        out.extend(base::unhex(&part[..2]).unwrap());
        out.extend(&part.as_bytes()[2..]);
    }
    out
}

#[test]
fn commands_mean_what_the_vectors_say() {
    let file = include_str!("../vectors/commands.txt");
    let lines: Vec<&str> = file.lines().filter(|line| line.contains(" => ") && !line.starts_with('#')).collect();
    assert!(lines.len() > 40);
    for line in lines {
        let (given, rest) = line.split_once(" => ").unwrap();
        let (expected, source) = rest.split_once(" ;; ").unwrap();
        let got = match Command::decode(&octets(given)) {
            Ok(command) => command.encode().strip_suffix(b"\r\n").unwrap().to_vec(),
            Err(error) => error.to_string().into_bytes(),
        };
        let same = got == octets(expected) || octets_text(&got) == expected || got == expected.as_bytes();
        assert!(same, "{source}: {given} is {}, not {expected}", octets_text(&got));
    }
}

#[test]
fn replies_are_lines_that_only_the_last_ends() {
    // RFC 959 section 4.2, FTP-25
    let reply = Reply::new(211, "Features:").line("SIZE").line("211 looks like an end").line("End");
    assert_eq!(&reply.encode()[..], b"211-Features:\r\n SIZE\r\n 211 looks like an end\r\n211 End\r\n");
    let reply = Reply::new(257, b"\"a\r\n230 b\xff\"");
    assert_eq!(&reply.encode()[..], b"257 \"a??230 b\xff\xff\"\r\n");
}

#[test]
fn a_secret_is_not_shown() {
    // FTP-29
    for line in [&b"PASS topsecret"[..], b"ACCT topsecret"] {
        let command = Command::decode(line).unwrap();
        assert!(!format!("{command:?}").contains("topsecret"));
    }
}

#[test]
fn moments_survive() {
    for (text, shown) in [("20261127075000", "20261127075000"), ("20261127075000.25", "20261127075000")] {
        assert_eq!(time_text(parse_time(text).unwrap()), shown);
    }
    assert_eq!(parse_time("19700101000001"), Some(UtcMicros(1_000_000)));
    for bad in ["", "2026112707500", "202611270750000", "20260230000000", "20261127075000.", "2026112707500x"] {
        assert_eq!(parse_time(bad), None, "{bad}");
    }
}

#[test]
fn addresses_are_found_in_what_servers_write() {
    for text in ["Entering Passive Mode (192,0,2,7,19,137).", "=192,0,2,7,19,137", "ok 192,0,2,7,19,137"] {
        assert_eq!(decode_pasv_text(text).unwrap().to_string(), "192.0.2.7:5001", "{text}");
    }
    assert_eq!(decode_epsv_text("Entering Extended Passive Mode (|||5001|)"), Ok(5001));
    assert_eq!(decode_epsv_text(&epsv_text(9)), Ok(9));
    for text in ["", "(|||x|)", "(||1|5001|)", "(|||70000|)", "()"] {
        assert!(decode_epsv_text(text).is_err(), "{text}");
    }
    assert!(decode_pasv_text("(1,2,3,4,5)").is_err());
}

#[test]
fn lines_end_by_lf_and_have_a_bound() {
    let mut lines = Lines::new(10);
    lines.room().put_slice(b"a\r\nb\nlong");
    assert_eq!(lines.next_line(), Ok(Some(Bytes::from_static(b"a"))));
    assert_eq!(lines.next_line(), Ok(Some(Bytes::from_static(b"b"))));
    assert_eq!(lines.next_line(), Ok(None));
    assert!(!lines.is_empty());
    lines.room().put_slice(b"er than");
    assert_eq!(lines.next_line(), Err(LineTooLong { max: 10 }));
    let mut lines = Lines::new(3);
    lines.room().put_slice(b"abcd\n");
    assert_eq!(lines.next_line(), Err(LineTooLong { max: 3 }));
}

proptest! {
    #[test] // FTP-2
    fn lines_of_files_survive_however_they_are_cut(
        file in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..60),
        at in 0_usize..60,
    ) {
        let (first, second) = file.split_at(at.min(file.len()));
        let mut to_wire = ToWire::default();
        let sent = [to_wire.feed(first), to_wire.feed(second)].concat();
        prop_assert_eq!(&sent[..], &ToWire::default().feed(&file)[..]);
        for (at, octet) in sent.iter().enumerate() {
            prop_assert!(*octet != b'\n' || sent[at - 1] == b'\r', "every line ends with CR LF");
        }
        let mut from_wire = FromWire::default();
        let (first, second) = sent.split_at(at.min(sent.len()));
        let mut got = [from_wire.feed(first), from_wire.feed(second)].concat();
        got.extend_from_slice(&from_wire.end());
        // What had CR LF here already has LF only afterwards: line ends are normalised.
        let mut normal = FromWire::default();
        let mut expected = normal.feed(&file).to_vec();
        expected.extend_from_slice(&normal.end());
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn any_line_is_read_and_written_as_one_line(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(command) = Command::decode(&line) {
            let sent = command.encode();
            prop_assert_eq!(sent.iter().filter(|o| **o == b'\n').count(), 1);
            let body = sent.strip_suffix(b"\r\n").unwrap();
            prop_assert!(!body.contains(&b'\r'));
            let again = Command::decode(body).unwrap();
            prop_assert_eq!(again.encode(), sent);
        }
    }

    #[test]
    fn names_survive(name in proptest::collection::vec(any::<u8>(), 1..60)) {
        let Ok(name) = Argument::new(name) else { return Ok(()) };
        let sent = Command::Named(Named::Stor, name.clone()).encode();
        let Command::Named(Named::Stor, got) = Command::decode(sent.strip_suffix(b"\r\n").unwrap()).unwrap() else {
            panic!("another command");
        };
        prop_assert_eq!(got, name);
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive(
        stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
        cuts in proptest::collection::vec(1_usize..20, 0..40),
    ) {
        let all = |pieces: Vec<&[u8]>| {
            let mut lines = Lines::new(64);
            let mut got = Vec::new();
            for piece in pieces {
                lines.room().put_slice(piece);
                loop {
                    match lines.next_line() {
                        Ok(Some(line)) => got.push(Ok(line)),
                        Ok(None) => break,
                        Err(error) => {
                            got.push(Err(error));
                            return got;
                        }
                    }
                }
            }
            got
        };
        let (mut rest, mut pieces) = (&stream[..], Vec::new());
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        pieces.push(rest);
        prop_assert_eq!(all(pieces), all(vec![&stream]));
    }
}
