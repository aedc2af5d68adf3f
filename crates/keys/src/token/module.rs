//! One library: loaded once, its sessions pooled and bounded, begun anew when its token is gone.
//!
//! No lock is held while the library works: it may hang. Who waits for a session waits for a bounded time.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use super::error::answered;
use super::uri::Place;
use super::{ModuleSettings, TokenError};

/// Longest wait for a session.
const SESSION_WAIT: Duration = Duration::from_secs(20);
/// A library whose token is gone is begun anew at most this often.
const ANEW_EVERY: Duration = Duration::from_secs(1);

/// A library and its sessions.
pub(super) struct Module {
    pub(super) settings: ModuleSettings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Once it is loaded, it stays: not every library can be unloaded.
    library: Option<Pkcs11>,
    idle: Vec<Opened>,
    /// Sessions in use.
    out: u32,
    /// Somebody loads the library, opens a session, logs in, or begins the library anew.
    opening: bool,
    /// Handles of keys and sessions are good for one only.
    generation: u64,
    /// SHA-256 of a PIN that was refused: to try it again could lock the token.
    refused_pin: Option<[u8; 32]>,
    begun_anew: Option<Instant>,
}

struct Opened {
    session: Session,
    place: Place,
    generation: u64,
    writing: bool,
}

/// A session, for one use.
pub(super) struct Live<'a> {
    pub(super) session: &'a Session,
    /// Name of the library.
    pub(super) module: &'a str,
    /// A handle is good as long as this does not change.
    pub(super) generation: u64,
}

impl Live<'_> {
    pub(super) fn failed(&self, error: &Error) -> TokenError {
        TokenError::of(self.module, error)
    }

    /// Refuses a session whose login was lost.
    pub(super) fn still_logged_in(&self) -> Result<(), TokenError> {
        let told = self.session.get_session_info().map_err(|e| self.failed(&e))?;
        match told.session_state() {
            SessionState::RoPublic | SessionState::RwPublic => {
                Err(self.failed(&Error::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo)))
            }
            _ => Ok(()),
        }
    }
}

impl Module {
    pub(super) fn new(settings: ModuleSettings) -> Self {
        Self { settings, state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Works with a session that may read. A session that was lost is opened anew; then the library is begun anew.
    pub(super) fn with<T>(
        &self,
        place: &Place,
        work: impl Fn(&Live<'_>) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let first = self.once(place, false, &work);
        match first {
            Err(e) if e.is_lost() => self.forget_sessions(),
            done => return done,
        }
        match self.once(place, false, &work) {
            Err(e) if e.is_lost() => {
                if self.begin_anew()? {
                    self.once(place, false, &work)
                } else {
                    Err(e)
                }
            }
            done => done,
        }
    }

    /// Works with a session of its own that may write. Nothing is tried twice.
    pub(super) fn with_writing<T>(
        &self,
        place: &Place,
        work: impl Fn(&Live<'_>) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        // Whether the token is there is found out by a session that is tried again.
        self.with(place, |_| Ok(()))?;
        self.once(place, true, &work)
    }

    /// The tokens that there are.
    pub(super) fn places(&self) -> Result<Vec<Place>, TokenError> {
        let library = self.opening(|library, _| Ok(library.clone()))?;
        let tokens = self.tokens(&library)?;
        let place = |(_, token): (Slot, TokenInfo)| Place {
            token: Some(token.label().to_owned()),
            serial: Some(token.serial_number().to_owned()).filter(|serial| !serial.is_empty()),
            ..Place::default()
        };
        Ok(tokens.into_iter().map(place).collect())
    }

    fn once<T>(
        &self,
        place: &Place,
        writing: bool,
        work: impl Fn(&Live<'_>) -> Result<T, TokenError>,
    ) -> Result<T, TokenError> {
        let mut taken = self.take(place, writing)?;
        let Some(opened) = &taken.opened else { return Err(self.busy()) };
        let live = Live { session: &opened.session, module: self.name(), generation: opened.generation };
        let done = work(&live);
        // After a failure nobody knows what the session was in the middle of.
        taken.good = done.is_ok() && !opened.writing;
        done
    }

    fn take(&self, place: &Place, writing: bool) -> Result<Taken<'_>, TokenError> {
        let until = Instant::now() + SESSION_WAIT;
        let mut state = self.lock();
        loop {
            let fits = |opened: &Opened| opened.place == *place && !writing;
            if let Some(at) = state.idle.iter().position(fits) {
                let opened = state.idle.swap_remove(at);
                state.out = state.out.saturating_add(1);
                return Ok(Taken { module: self, opened: Some(opened), good: false });
            }
            let held = u32::try_from(state.idle.len()).unwrap_or(u32::MAX).saturating_add(state.out);
            if held >= self.settings.sessions && !state.idle.is_empty() {
                // One that another token does not need now.
                drop(state.idle.pop());
            } else if held < self.settings.sessions && !state.opening {
                state.out = state.out.saturating_add(1);
                drop(state);
                let mut taken = Taken { module: self, opened: None, good: false };
                taken.opened = Some(self.opening(|library, generation| {
                    self.open(library, place, writing).map(|session| Opened {
                        session,
                        place: place.clone(),
                        generation,
                        writing,
                    })
                })?);
                return Ok(taken);
            } else {
                state = self.wait(state, until)?;
            }
        }
    }

    /// Works with the library itself, which is loaded if need be; one at a time does.
    fn opening<T>(&self, work: impl FnOnce(&Pkcs11, u64) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let until = Instant::now() + SESSION_WAIT;
        let mut state = self.lock();
        while state.opening {
            state = self.wait(state, until)?;
        }
        state.opening = true;
        let (library, generation) = (state.library.clone(), state.generation);
        drop(state);
        let _end = EndOfOpening(self);
        let library = match library {
            Some(library) => library,
            None => {
                let library = self.load()?;
                self.lock().library = Some(library.clone());
                library
            }
        };
        work(&library, generation)
    }

    fn load(&self) -> Result<Pkcs11, TokenError> {
        let path = &self.settings.library;
        let refused =
            |why: String| TokenError::Library { module: self.name().to_owned(), path: path.display().to_string(), why };
        if !path.is_absolute() {
            return Err(refused("is not named by an absolute path: give one".to_owned()));
        }
        let file = fs::metadata(path).map_err(|e| refused(format!("can't be read: {e}; give its right path")))?;
        let owner = rustix::process::geteuid().as_raw();
        if !file.is_file() {
            return Err(refused("is no file".to_owned()));
        }
        if (file.uid() != 0 && file.uid() != owner) || file.mode() & 0o022 != 0 {
            let why = "could be changed by others: let it belong to root, writable by nobody else".to_owned();
            return Err(refused(why));
        }
        let library = Pkcs11::new(path)
            .map_err(|e| refused(format!("is no PKCS#11 library: {}", base::brief(&e.to_string(), 200))))?;
        self.begin(&library)?;
        Ok(library)
    }

    fn begin(&self, library: &Pkcs11) -> Result<(), TokenError> {
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Err(e) if !answered(&e, Function::Initialize, &[RvError::CryptokiAlreadyInitialized]) => {
                Err(TokenError::of(self.name(), &e))
            }
            _ => Ok(()),
        }
    }

    fn tokens(&self, library: &Pkcs11) -> Result<Vec<(Slot, TokenInfo)>, TokenError> {
        let failed = |e: Error| TokenError::of(self.name(), &e);
        let mut all = Vec::new();
        for slot in library.get_slots_with_token().map_err(failed)? {
            // A token that went away in between is not there.
            if let Ok(token) = library.get_token_info(slot)
                && token.token_initialized()
            {
                all.push((slot, token));
            }
        }
        Ok(all)
    }

    fn open(&self, library: &Pkcs11, place: &Place, writing: bool) -> Result<Session, TokenError> {
        let failed = |e: Error| TokenError::of(self.name(), &e);
        let all = self.tokens(library)?;
        let mut fitting = all.iter().filter(|(_, token)| is_at(token, place));
        let Some((slot, token)) = fitting.next() else {
            let present: Vec<&str> = all.iter().map(|(_, token)| token.label()).collect();
            return Err(TokenError::NoToken {
                module: self.name().to_owned(),
                wanted: place.to_string(),
                present: base::brief(&base::octets_text(present.join(", ").as_bytes()), 200),
            });
        };
        if fitting.next().is_some() {
            return Err(TokenError::SeveralTokens { module: self.name().to_owned(), wanted: place.to_string() });
        }
        let session = if writing { library.open_rw_session(*slot) } else { library.open_ro_session(*slot) };
        let session = session.map_err(failed)?;
        if token.login_required() {
            self.log_in(&session, token)?;
        }
        Ok(session)
    }

    fn log_in(&self, session: &Session, token: &TokenInfo) -> Result<(), TokenError> {
        let refused = |why: &str| TokenError::Pin { module: self.name().to_owned(), why: why.to_owned() };
        if token.user_pin_locked() {
            return Err(refused("the PIN of the token is locked: unlock it with its administrator's PIN"));
        }
        let pin = self.settings.pin.read(self.name())?;
        let hash = crate::sha256(pin.expose().as_bytes());
        if self.lock().refused_pin == Some(hash) {
            return Err(refused("the token refused this PIN before, it is not tried again: correct it"));
        }
        if token.user_pin_final_try() {
            return Err(refused("one try of the PIN is left, it is not used up here: log in once with another tool"));
        }
        let logged_in = session.login(UserType::User, Some(&AuthPin::from(pin.expose().as_str())));
        match logged_in {
            Err(e)
                if answered(
                    &e,
                    Function::Login,
                    &[RvError::PinIncorrect, RvError::PinLenRange, RvError::PinInvalid],
                ) =>
            {
                self.lock().refused_pin = Some(hash);
                Err(refused("the token refuses the PIN: correct it; it is tried again when it has changed"))
            }
            Err(e) if answered(&e, Function::Login, &[RvError::PinLocked]) => {
                Err(refused("the PIN of the token is locked: unlock it with its administrator's PIN"))
            }
            Err(e) if !answered(&e, Function::Login, &[RvError::UserAlreadyLoggedIn]) => {
                Err(TokenError::of(self.name(), &e))
            }
            _ => {
                self.lock().refused_pin = None;
                Ok(())
            }
        }
    }

    /// Lets go of all sessions that nobody uses, and of what is known of handles.
    fn forget_sessions(&self) {
        let mut state = self.lock();
        state.generation = state.generation.wrapping_add(1);
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
        self.changed.notify_all();
    }

    /// Ends the library and begins it anew: some see tokens that came back only then. `false` if that was just done, or
    /// others are at work with it.
    fn begin_anew(&self) -> Result<bool, TokenError> {
        self.forget_sessions();
        let mut state = self.lock();
        let just_done = state.begun_anew.is_some_and(|at| at.elapsed() < ANEW_EVERY);
        let Some(library) = state.library.clone().filter(|_| !state.opening && state.out == 0 && !just_done) else {
            return Ok(false);
        };
        state.opening = true;
        state.begun_anew = Some(Instant::now());
        drop(state);
        let _end = EndOfOpening(self);
        // What it answers does not matter: it may have ended by itself.
        let _ = library.clone().finalize();
        self.begin(&library).map(|()| true)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, until: Instant) -> Result<MutexGuard<'a, State>, TokenError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.busy());
        }
        Ok(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn busy(&self) -> TokenError {
        TokenError::Busy { module: self.name().to_owned(), seconds: SESSION_WAIT.as_secs() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_at(token: &TokenInfo, place: &Place) -> bool {
    let fits = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|wanted| wanted == has);
    fits(&place.token, token.label())
        && fits(&place.serial, token.serial_number())
        && fits(&place.manufacturer, token.manufacturer_id())
        && fits(&place.model, token.model())
}

/// A session in use, or the right to open one.
struct Taken<'a> {
    module: &'a Module,
    opened: Option<Opened>,
    /// Whether it can be used again.
    good: bool,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.module.lock();
        state.out = state.out.saturating_sub(1);
        let (good, generation) = (self.good, state.generation);
        let keep = self.opened.take_if(|opened| good && opened.generation == generation);
        state.idle.extend(keep);
        drop(state);
        self.module.changed.notify_all();
        // What is not kept is closed without the lock.
        drop(self.opened.take());
    }
}

struct EndOfOpening<'a>(&'a Module);

impl Drop for EndOfOpening<'_> {
    fn drop(&mut self) {
        self.0.lock().opening = false;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Module({}, {})", self.settings.name, self.settings.library.display())
    }
}
