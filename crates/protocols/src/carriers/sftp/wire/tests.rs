//! The codec against the vector files, against itself, and against any octets.

use base::unhex;
use proptest::prelude::*;

use super::*;

/// One line of a vector file: `hex | what it means | source`; `\` joins lines, `#` begins a comment.
fn vectors(file: &str) -> Vec<(Bytes, String, String)> {
    let joined = file.replace("\\\n", "");
    let lines = joined.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split('|').map(str::trim).collect();
            let [octets, meaning, source] = parts[..] else { panic!("vector line {line:?}") };
            let octets = unhex(&octets.replace(' ', "")).unwrap_or_else(|| panic!("hex in {line:?}"));
            (octets.into(), meaning.to_owned(), source.to_owned())
        })
        .collect()
}

#[test]
fn client_packets_mean_what_the_vectors_say() {
    let all = vectors(include_str!("../vectors/client.txt"));
    assert!(all.len() > 30);
    for (octets, meaning, source) in all {
        let got = ClientPacket::decode(&octets.clone().into()).map_or_else(|e| e.to_string(), |p| format!("{p:?}"));
        assert_eq!(got, meaning, "{source}: {}", base::hex(&octets));
    }
}

#[test]
fn server_packets_mean_what_the_vectors_say() {
    let all = vectors(include_str!("../vectors/server.txt"));
    assert!(all.len() > 10);
    for (octets, meaning, source) in all {
        let got = ServerPacket::decode(&octets).map_or_else(|e| e.to_string(), |p| format!("{p:?}"));
        assert_eq!(got, meaning, "{source}: {}", base::hex(&octets));
    }
}

#[test]
fn a_data_reply_may_be_sent_in_two_parts() {
    let data = Bytes::from_static(b"some octets");
    let parts = [data_head(7, data.len()), data.clone()].concat();
    assert_eq!(parts, Reply::Data(data).encode(7));
}

#[test]
fn counts_are_bounded() {
    let mut many = Writer::numbered(kind::NAME, 1, 8).u32(u32::MAX).finish();
    let names = Defect::TooMany { what: "names", count: u32::MAX, max: NAMES_MAX };
    assert_eq!(ServerPacket::decode(&many.split_off(4)).unwrap_err().defect, names);
    let mut pairs = Writer::new(kind::INIT, 8).u32(3).raw(&[0; 8 * 65]).finish();
    let extensions = Defect::TooMany { what: "extension pairs", count: 65, max: PAIRS_MAX };
    assert_eq!(ClientPacket::decode(&pairs.split_off(4).into()).unwrap_err().defect, extensions);
}

#[test]
fn extension_answers_survive() {
    let limits = Limits { packet_octets: 1, read_octets: 2, write_octets: u64::MAX, handles: 4 };
    assert_eq!(Limits::decode(&limits.encode()), Ok(limits));
    let space = SpaceInfo { block_octets: 4096, name_octets_max: 255, flags: 2, files: 9, ..SpaceInfo::default() };
    assert_eq!(SpaceInfo::decode(&space.encode()), Ok(space));
    assert!(SpaceInfo::decode(&limits.encode()).is_err());
}

fn octets(max: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn any_pairs() -> impl Strategy<Value = Vec<(Bytes, Bytes)>> {
    proptest::collection::vec((octets(20), octets(20)), 0..4)
}

fn any_attrs() -> impl Strategy<Value = Attrs> {
    (any::<Option<u64>>(), any::<Option<(u32, u32)>>(), any::<Option<u32>>(), any::<Option<(u32, u32)>>(), any_pairs())
        .prop_map(|(size, owner, permissions, times, extended)| Attrs { size, owner, permissions, times, extended })
}

fn any_extended() -> impl Strategy<Value = Extended> {
    prop_oneof![
        (octets(40), octets(40)).prop_map(|(from, to)| Extended::PosixRename { from, to }),
        octets(40).prop_map(|handle| Extended::Fsync { handle }),
        octets(40).prop_map(|path| Extended::Statvfs { path }),
        octets(40).prop_map(|handle| Extended::Fstatvfs { handle }),
        (octets(40), octets(40)).prop_map(|(from, to)| Extended::Hardlink { from, to }),
        (octets(40), any_attrs()).prop_map(|(path, attrs)| Extended::Lsetstat { path, attrs }),
        Just(Extended::Limits),
        ("[a-z]{1,12}@example\\.com", octets(40))
            .prop_map(|(name, data)| Extended::Other { name: name.into_bytes().into(), data }),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let of_handle = prop_oneof![
        octets(40).prop_map(|handle| Request::Close { handle }),
        octets(40).prop_map(|handle| Request::Fstat { handle }),
        octets(40).prop_map(|handle| Request::Readdir { handle }),
        (octets(40), any_attrs()).prop_map(|(handle, attrs)| Request::Fsetstat { handle, attrs }),
        (octets(40), any::<u64>(), any::<u32>()).prop_map(|(handle, offset, len)| Request::Read {
            handle,
            offset,
            len
        }),
        (octets(40), any::<u64>(), octets(99)).prop_map(|(handle, offset, data)| Request::Write {
            handle,
            offset,
            data: data.into()
        }),
    ];
    let of_path = prop_oneof![
        octets(40).prop_map(|path| Request::Lstat { path }),
        octets(40).prop_map(|path| Request::Opendir { path }),
        octets(40).prop_map(|path| Request::Remove { path }),
        octets(40).prop_map(|path| Request::Rmdir { path }),
        octets(40).prop_map(|path| Request::Realpath { path }),
        octets(40).prop_map(|path| Request::Stat { path }),
        octets(40).prop_map(|path| Request::Readlink { path }),
        (octets(40), any_attrs()).prop_map(|(path, attrs)| Request::Setstat { path, attrs }),
        (octets(40), any_attrs()).prop_map(|(path, attrs)| Request::Mkdir { path, attrs }),
        (octets(40), any::<u32>(), any_attrs()).prop_map(|(path, flags, attrs)| Request::Open {
            path,
            flags: OpenFlags(flags),
            attrs
        }),
    ];
    let others = prop_oneof![
        (octets(40), octets(40)).prop_map(|(from, to)| Request::Rename { from, to }),
        (octets(40), octets(40)).prop_map(|(first, second)| Request::Symlink { first, second }),
        any_extended().prop_map(Request::Extended),
        (21u8..200).prop_map(|kind| Request::Unknown { kind }),
    ];
    prop_oneof![of_handle, of_path, others]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let entry =
        (octets(40), octets(99), any_attrs()).prop_map(|(name, long_name, attrs)| NameEntry { name, long_name, attrs });
    prop_oneof![
        (any::<u32>(), octets(99)).prop_map(|(code, text)| Reply::status(StatusCode::of(code), text)),
        octets(40).prop_map(Reply::Handle),
        octets(999).prop_map(Reply::Data),
        proptest::collection::vec(entry, 0..5).prop_map(Reply::Names),
        any_attrs().prop_map(Reply::Attrs),
        octets(99).prop_map(Reply::Extended),
    ]
}

/// What [`Framer`] gives for an encoded packet.
fn whole(packet: Bytes) -> Pieces {
    body(packet).into()
}

fn body(mut packet: Bytes) -> Bytes {
    let body = packet.split_off(4);
    assert_eq!(packet, u32::try_from(body.len()).unwrap().to_be_bytes()[..]);
    body
}

proptest! {
    #[test]
    fn every_request_survives_the_wire(id in any::<u32>(), request in any_request()) {
        let packet = ClientPacket::Request { id, request };
        prop_assert_eq!(ClientPacket::decode(&whole(packet.encode())), Ok(packet));
    }

    #[test]
    fn every_reply_survives_the_wire(id in any::<u32>(), reply in any_reply()) {
        let packet = ServerPacket::Reply { id, reply };
        prop_assert_eq!(ServerPacket::decode(&body(packet.encode())), Ok(packet));
    }

    #[test]
    fn greetings_survive_the_wire(version in any::<u32>(), extensions in any_pairs()) {
        let init = ClientPacket::Init { version, extensions: extensions.clone() };
        prop_assert_eq!(ClientPacket::decode(&whole(init.encode())), Ok(init));
        let answer = ServerPacket::Version { version, extensions };
        prop_assert_eq!(ServerPacket::decode(&body(answer.encode())), Ok(answer));
    }

    #[test]
    fn a_cut_request_keeps_its_number(id in any::<u32>(), request in any_request(), cut in 5usize..60) {
        let mut packet = body(ClientPacket::Request { id, request }.encode());
        packet.truncate(cut);
        match ClientPacket::decode(&packet.clone().into()) {
            Ok(ClientPacket::Request { id: got, .. }) => prop_assert_eq!(got, id),
            Ok(other) => prop_assert!(false, "{other:?}"),
            Err(e) => prop_assert_eq!(e.id, Some(id)),
        }
    }

    #[test]
    fn any_octets_give_a_packet_or_an_error(kind in any::<u8>(), rest in proptest::collection::vec(any::<u8>(), 0..200)) {
        let packet = Bytes::from([&[kind][..], &rest].concat());
        if let Ok(ClientPacket::Request { id, request }) = ClientPacket::decode(&packet.clone().into()) {
            prop_assert!(request.encode(id).len() <= packet.len() + 4 + 64, "what was read is not longer than what came");
        }
        if let Err(e) = ServerPacket::decode(&packet) {
            prop_assert_eq!(e.kind, kind);
        }
    }
}
