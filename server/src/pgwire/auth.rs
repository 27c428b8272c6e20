//! SCRAM-SHA-256, and SCRAM-SHA-256-PLUS (bound to the certificate) over TLS.

use crate::Error;
use crate::pgwire::Tls;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal, gen_salted_password};
use pgwire::messages::startup::PasswordMessageFamily;
use rand::RngCore;

/// The one user, until there are roles.
pub const USER: &str = "tidemark";

/// Salted passwords: the password itself is not kept.
pub struct Passwords {
    salt: Vec<u8>,
    salted_password: Vec<u8>,
}

impl Passwords {
    pub fn new(password: &str) -> Passwords {
        let mut salt = vec![0; 16];
        rand::rng().fill_bytes(&mut salt);
        let salted_password = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
        Passwords { salt, salted_password }
    }

    fn secret(&self, user: &str) -> ScramSecret {
        // An unknown user goes through the same exchange and fails at its end, so that names cannot be probed.
        let salted_password = if user == USER { self.salted_password.clone() } else { vec![0; 32] };
        ScramSecret::SaltedPassword { salt: self.salt.clone(), salted_password }
    }
}

pub enum Exchange {
    Begin,
    Challenged(Box<ScramServerAuthWaitingForClientFinal>),
}

/// One client's exchange.
pub struct Scram<'a> {
    passwords: &'a Passwords,
    user: &'a str,
    server: ScramServerAuth,
    mechanisms: Vec<String>,
    state: Exchange,
}

pub enum Step {
    Continue(String),
    Done(String),
}

impl<'a> Scram<'a> {
    pub fn new(passwords: &'a Passwords, user: &'a str, tls: Option<&Tls>) -> Result<Scram<'a>, Error> {
        let mut server = ScramServerAuth::new();
        let mut mechanisms = vec!["SCRAM-SHA-256".to_string()];
        if let Some(tls) = tls {
            // A certificate SCRAM cannot bind to (an unusual signature) leaves plain SCRAM over TLS.
            match server.configure_certificate(&tls.certificate_pem) {
                Ok(()) => mechanisms.insert(0, "SCRAM-SHA-256-PLUS".to_string()),
                Err(error) => tracing::warn!(%error, "no channel binding with this certificate"),
            }
        }
        Ok(Scram { passwords, user, server, mechanisms, state: Exchange::Begin })
    }

    pub fn mechanisms(&self) -> Vec<String> {
        self.mechanisms.clone()
    }

    pub fn step(&mut self, message: PasswordMessageFamily) -> Result<Step, Error> {
        match &self.state {
            Exchange::Begin => {
                // Checked before the codec reads it, which takes its lengths on trust.
                if let PasswordMessageFamily::Raw(body) = &message
                    && !is_initial_response(body)
                {
                    return Err(malformed());
                }
                let initial = message.into_sasl_initial_response().map_err(|_| malformed())?;
                if !self.mechanisms.contains(&initial.auth_method) {
                    return Err(Error::fatal("08P01", "client selected an invalid SASL authentication mechanism"));
                }
                let data = initial.data.ok_or_else(malformed)?;
                let (challenge, next) = self.server.on_client_first_message_with_secret(&data, self.passwords.secret(self.user)).map_err(|_| malformed())?;
                self.state = Exchange::Challenged(Box::new(next));
                Ok(Step::Continue(challenge))
            }
            Exchange::Challenged(waiting) => {
                let response = message.into_sasl_response().map_err(|_| malformed())?;
                let verified = waiting.on_client_final_message(&response.data).ok().filter(|_| self.user == USER);
                verified.map(Step::Done).ok_or_else(|| Error::fatal("28P01", format!("password authentication failed for user \"{}\"", self.user)))
            }
        }
    }
}

/// A mechanism's name, the length of the data, the data.
fn is_initial_response(body: &[u8]) -> bool {
    let Some(end) = body.iter().position(|byte| *byte == 0) else { return false };
    let rest = body.get(end + 1..).unwrap_or_default();
    let Some((length, data)) = rest.split_first_chunk() else { return false };
    match i32::from_be_bytes(*length) {
        -1 => data.is_empty(),
        length => usize::try_from(length) == Ok(data.len()),
    }
}

fn malformed() -> Error {
    Error::fatal("08P01", "malformed SCRAM message")
}
