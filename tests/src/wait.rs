//! Waiting for something to become true, by asking again and again until a deadline: the only way in which a system test waits.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The pause between two questions: short beside anything that is waited for, long beside what a question costs.
const PAUSE_BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);

/// Asks until the answer is `Some`, and returns it.
///
/// `Ok(None)` means "not yet". An error ends the wait at once: a question which may fail while things start maps that failure to `Ok(None)`.
/// The question is asked at least once, and once more at the deadline.
pub fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut question: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        let is_last = Instant::now() >= end;
        if let Some(answer) = question().with_context(|| format!("while waiting until {what}"))? {
            return Ok(answer);
        }
        if is_last {
            bail!("waited {deadline:?} in vain until {what}");
        }
        sleep(PAUSE_BETWEEN_QUESTIONS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_wait() {
        let mut questions = 0;
        let answer = wait_until(
            "the third question is asked",
            Duration::from_secs(60),
            || {
                questions += 1;
                Ok((questions == 3).then_some(questions))
            },
        );
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn the_deadline_names_what_was_waited_for() {
        let error = wait_until::<()>("pigs fly", Duration::ZERO, || Ok(None)).unwrap_err();
        assert_eq!(error.to_string(), "waited 0ns in vain until pigs fly");
    }

    #[test]
    fn an_error_ends_the_wait() {
        let error =
            wait_until::<()>("pigs fly", Duration::from_secs(60), || bail!("no pigs")).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "while waiting until pigs fly: no pigs"
        );
    }
}
