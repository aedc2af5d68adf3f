//! Any octets as what a client sends on the control connection, and on data connections, of a session on real sockets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocols::ftp::trial::{Manners, session};

fuzz_target!(|input: &[u8]| {
    let [how, sized, rest @ ..] = input else { return };
    let (data, octets) = rest.split_at(rest.len().min(usize::from(*sized)));
    let manners = Manners { inside: how & 1 == 0, resets: how & 2 != 0, leaves: how & 4 != 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let left = runtime.block_on(session(octets, data, manners)).expect("it ends");
    let said_nothing = left.served.login.is_none();
    assert!(!said_nothing || left.log.is_empty(), "a file was touched before the login: {:?}", left.log);
});
