//! A staged file against a vector: whatever is written, read, cut, suspended, the two stay equal (DESIGN 5.4).

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Where (in parts of 65,536 of the size and a little beyond), how much.
    Write(u32, usize),
    Append(usize),
    Read(u32, usize),
    Truncate(u32),
    Sync,
    Suspend,
    SuspendWithoutState,
}

fn step() -> impl Strategy<Value = Step> {
    let len = || prop_oneof![1..5000usize, 30_000..70_000usize, 100_000..300_000usize];
    prop_oneof![
        3 => (0..70_000u32, len()).prop_map(|(at, len)| Step::Write(at, len)),
        4 => len().prop_map(Step::Append),
        2 => (0..70_000u32, len()).prop_map(|(at, len)| Step::Read(at, len)),
        1 => (0..70_000u32).prop_map(Step::Truncate),
        1 => Just(Step::Sync),
        1 => Just(Step::Suspend),
        1 => Just(Step::SuspendWithoutState),
    ]
}

/// A position: a part of the size, or up to 26,784 octets beyond it.
fn position(at: u32, size: usize) -> usize {
    let at = usize::try_from(at).unwrap();
    if at < 65_536 { size * at / 65_536 } else { size + (at - 65_536) * 6 }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

async fn run(steps: Vec<Step>, options: StoreOptions) {
    let disk = MemoryDisk::new();
    let store = open_store("local", parts(&disk, options)).unwrap();
    let uuid = FileUuid::random().unwrap();
    let (mut staged, mut model) = (store.create(uuid), Vec::<u8>::new());
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(..) | Step::Append(_) => {
                let (at, len) = match step {
                    Step::Write(at, len) => (position(at, model.len()), len),
                    Step::Append(len) => (model.len(), len),
                    _ => unreachable!(),
                };
                let octets = content(len, wide(n) + 1);
                model.resize(model.len().max(at + len), 0);
                model[at..at + len].copy_from_slice(&octets);
                staged.write_at(wide(at), octets.into()).await.unwrap();
            }
            Step::Read(at, len) => {
                let at = position(at, model.len());
                let expected = model.get(at..).unwrap_or_default();
                let expected = &expected[..expected.len().min(len)];
                assert_eq!(&staged.read_at(wide(at), len).await.unwrap()[..], expected);
            }
            Step::Truncate(at) => {
                let size = position(at, model.len());
                model.resize(size, 0);
                staged.truncate(wide(size)).await.unwrap();
            }
            Step::Sync => assert_eq!(staged.sync().await.unwrap().durable_to, wide(model.len())),
            Step::Suspend | Step::SuspendWithoutState => {
                let mut saved = staged.suspend().await.unwrap();
                assert_eq!(saved.durable_to, wide(model.len()));
                let lost = matches!(step, Step::SuspendWithoutState);
                if lost {
                    saved.state = vec![1; 50];
                }
                staged = match store.resume(uuid, &saved).await {
                    Ok(Resumed::Staged(staged)) => staged,
                    Ok(Resumed::Complete(_)) => panic!("complete"),
                    // The state had all of it: there is no file.
                    Err(e) if lost && e.kind() == ErrorKind::Absent && model.len() <= 65_536 => store.create(uuid),
                    Err(e) => panic!("{e}"),
                };
                if lost {
                    // Whole chunks stay; they are read from the start.
                    let size = usize::try_from(staged.size()).unwrap();
                    assert!(size <= model.len() && size + 65_536 >= model.len());
                    model.truncate(size);
                }
            }
        }
        assert_eq!(staged.size(), wide(model.len()));
    }
    check(&*store, staged, &model, options.hash).await;
    assert!(disk.files().len() <= 1, "staging is empty, payload has the file");
}

/// Commits, and reads back all and parts of it.
async fn check(store: &dyn Store, staged: Staged, model: &[u8], hash: bool) {
    let uuid = staged.uuid();
    let sealed = store.commit(staged).await.unwrap();
    let expected = StoredInfo { size: wide(model.len()), sha256: hash.then(|| sha256(model)) };
    assert_eq!(*sealed.info(), expected);
    assert!(read_sealed(store, uuid, &sealed).await.unwrap() == model, "content differs");
    let Sealed::File(info) = &sealed else { return };
    let mut stored = store.open(uuid, info).await.unwrap();
    for (at, len) in [(model.len() / 2, 1000), (0, 300_000), (model.len() / 3, 140_000), (model.len(), 5)] {
        let part = stored.read_at(wide(at), len).await.unwrap();
        assert!(part[..] == model[at..model.len().min(at + len)], "{len} octets at {at} differ");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn staged_is_a_vector(steps in proptest::collection::vec(step(), 1..14), seal: bool, hash in prop::bool::weighted(0.8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, StoreOptions { seal, hash }));
    }
}
