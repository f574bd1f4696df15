//! From the first packet to a session.

use std::thread;
use std::time::Duration;

use crate::answer::{Answer, End};
use crate::auth::{self, AuthCall, Welcome};
use crate::broken::Broken;
use crate::conversation::{Conversation, Pending};
use crate::crypto::{Challenge, Proof};
use crate::faults::{Fault, Point};
use crate::message::{self, Ended, Failure, Transaction};
use crate::packet::{self, CONNECT, Connect};
use crate::server::{Login, Verdict};
use crate::settings::Profile;
use crate::wire::Length;
use crate::worker::Worker;
use crate::{call, descriptor, negotiate};

/// The first version whose packets have long lengths.
const LONG_LENGTHS: u16 = 315;
/// The listener does not know a service.
const UNKNOWN_SERVICE: u32 = 12_514;
/// The listener does not know a SID.
const UNKNOWN_SID: u32 = 12_505;
/// How often a stalled conversation looks whether it may go on.
const STALL_LOOK_MS: u64 = 20;
/// What is sent as garbage.
const GARBAGE: [u8; 64] = [0xA5; 64];

impl Conversation {
    /// Lets go wrong what is to go wrong here.
    pub fn fault(&mut self, point: Point) -> Result<(), Broken> {
        match self.shared.faults.at(point) {
            None => Ok(()),
            Some(Fault::Cut) => Err(Broken::Closed),
            Some(Fault::Garbage) => {
                self.wire.send_raw(&GARBAGE)?;
                Err(Broken::Closed)
            }
            Some(Fault::Stall) => self.shared.stall(point),
        }
    }

    /// Agrees with a client on a service and the form of packets.
    pub fn connect(&mut self) -> Result<(), Broken> {
        let settings = &self.shared.settings;
        let profile = settings.profile;
        let mut resends = settings.resends;
        let (connect, text) = loop {
            let packet = self.wire.receive()?;
            if packet.kind != CONNECT {
                return Err(Broken::Malformed("the first packet is no CONNECT"));
            }
            let connect = Connect::decode(&packet.body)?;
            let data = match connect.data.clone() {
                Some(data) => data,
                None => self.wire.receive()?.data()?.to_vec(),
            };
            if resends == 0 {
                break (connect, String::from_utf8_lossy(&data).into_owned());
            }
            resends -= 1;
            self.wire.send(packet::RESEND, &[])?;
        };
        self.fault(Point::Connect)?;
        let settings = &self.shared.settings;
        let known =
            |names: &[String], wanted: &str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned();
        let service = match (descriptor::value(&text, "SERVICE_NAME"), descriptor::value(&text, "SID")) {
            (Some(service), _) => known(&settings.services, service).ok_or(UNKNOWN_SERVICE),
            (None, Some(sid)) => known(&settings.sids, sid).ok_or(UNKNOWN_SID),
            (None, None) => Err(UNKNOWN_SERVICE),
        };
        match service {
            Ok(service) => self.service = service,
            Err(error) => {
                self.wire.send(packet::REFUSE, &packet::refuse(error))?;
                return Err(Broken::Closed);
            }
        }
        let version = connect.version.min(profile.protocol());
        let sdu = connect.sdu.min(usize::from(settings.sdu)).max(packet::SDU_BYTES_MIN);
        let body = packet::accept(profile, version, sdu, settings.native_encryption);
        self.wire.send(packet::ACCEPT, &body)?;
        self.wire.agree(if version >= LONG_LENGTHS { Length::Long } else { Length::Short }, sdu);
        Ok(())
    }

    /// Answers what comes before a session. Says whether the call was of that kind.
    pub fn answer_login(&mut self, call: call::Call) -> Result<Option<call::Call>, Broken> {
        let profile = self.shared.settings.profile;
        match call {
            call::Call::Protocol => {
                let mut answer = Answer::new(&mut self.wire);
                negotiate::put_protocol(&mut answer.out, profile);
                answer.finish(End::Silent)?;
            }
            call::Call::Types(client) => {
                self.fields = client.fields.min(profile.fields());
                let mut answer = Answer::new(&mut self.wire);
                negotiate::put_types(&mut answer.out, &client);
                answer.finish(End::Silent)?;
            }
            call::Call::FastLogin(client, auth) => {
                self.fields = client.fields.min(profile.fields());
                let mut out = Vec::new();
                negotiate::put_protocol(&mut out, profile);
                negotiate::put_types(&mut out, &client);
                self.phase_one(auth, out)?;
            }
            call::Call::PhaseOne(auth) => self.phase_one(auth, Vec::new())?,
            call::Call::PhaseTwo(auth) => self.phase_two(&auth)?,
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    fn phase_one(&mut self, call: AuthCall, before: Vec<u8>) -> Result<(), Broken> {
        self.fault(Point::Authentication)?;
        // A user that does not exist is challenged too, so that nobody learns which do.
        let names = [call.user.clone(), call.user.to_uppercase()];
        let known = names.iter().find_map(|name| Some((name.clone(), self.shared.backend.password(name)?)));
        let (user, password) = known.map_or((call.user.clone(), None), |(user, password)| (user, Some(password)));
        let challenge = Challenge::new(self.shared.settings.verifier, password.as_deref().unwrap_or_default());
        let mut answer = Answer::new(&mut self.wire);
        answer.out = before;
        auth::put_challenge(&mut answer.out, &challenge);
        message::put_status(&mut answer.out, Transaction::None);
        answer.finish(self.end)?;
        let challenge = password.map(|_| challenge);
        self.pending = Some(Pending { user, challenge, call });
        Ok(())
    }

    fn phase_two(&mut self, call: &AuthCall) -> Result<(), Broken> {
        let Some(pending) = self.pending.take() else {
            return Err(Broken::Malformed("a proof without a challenge"));
        };
        let proof = pending.challenge.as_ref().and_then(|challenge| auth::check(challenge, call));
        let locked = self.shared.settings.locked.iter().any(|user| user.eq_ignore_ascii_case(&pending.user));
        let denied = Failure::new(1017, self.shared.settings.profile.login_denied());
        let opened = match proof {
            _ if locked => Err(Failure::new(28000, "The account is locked.")),
            None => Err(denied),
            Some(proof) => self.open_session(&pending, call, &proof),
        };
        let verdict = opened.as_ref().map_or_else(|failure| Verdict::Denied(failure.number), |_| Verdict::Accepted);
        self.shared.note(Login {
            user: pending.user,
            service: self.service.clone(),
            program: pending.call.get("AUTH_PROGRAM_NM").to_owned(),
            machine: pending.call.get("AUTH_MACHINE").to_owned(),
            driver: call.get("SESSION_CLIENT_DRIVER_NAME").to_owned(),
            verdict,
        });
        match opened {
            Ok(welcome) => {
                let mut answer = Answer::new(&mut self.wire);
                answer.out = welcome;
                message::put_status(&mut answer.out, Transaction::None);
                answer.finish(self.end)
            }
            Err(failure) => {
                let ended = Ended { failure: Some(failure), ..Ended::well(Transaction::None) };
                self.answer_end(&ended)?;
                Err(Broken::Closed)
            }
        }
    }

    fn open_session(&mut self, pending: &Pending, call: &AuthCall, proof: &Proof) -> Result<Vec<u8>, Failure> {
        let mut session = self.shared.backend.session(&pending.user, &self.service)?;
        session.client(pending.call.get("AUTH_PROGRAM_NM"), pending.call.get("AUTH_MACHINE"));
        if self.shared.settings.certificate.is_some() {
            session.encrypted();
        }
        let number = session.number();
        let worker = Worker::start(session).map_err(|_| Failure::new(18, "maximum number of sessions exceeded"))?;
        // What the client wants of its session from the start, such as its time zone.
        let alter = call.get("AUTH_ALTER_SESSION").trim_end_matches('\0');
        if !alter.is_empty() {
            drop(worker.run(alter, Vec::new()).events.iter().last());
        }
        self.worker = Some(worker);
        let profile = self.shared.settings.profile;
        let mut out = Vec::new();
        auth::put_welcome(
            &mut out,
            &Welcome {
                proof,
                session: number,
                release: profile.release(),
                service: &self.service,
                name_bytes_max: if profile == Profile::Oracle12_1 { 30 } else { 128 },
            },
        );
        Ok(out)
    }
}

impl crate::server::Shared {
    /// Waits until the fault is cleared; an error where the server stops before that.
    pub fn stall(&self, point: Point) -> Result<(), Broken> {
        while self.faults.at(point) == Some(Fault::Stall) {
            if self.is_stopping() {
                return Err(Broken::Closed);
            }
            thread::sleep(Duration::from_millis(STALL_LOOK_MS));
        }
        Ok(())
    }
}
