//! A component as a process: its command, its log, its signals, and the wait until it is ready.
//!
//! # Invariants
//! - A process dies with the test process. `setpriv --pdeathsig KILL` asks the kernel for it, because a static is never dropped and a killed
//!   process cleans up nothing.
//! - The kernel's "parent" is a *thread*, and every test runs in a thread which ends with it. So all processes are children of one thread
//!   which lives as long as the test process does, whoever asks for them.
//! - Both outputs of all starts of a component are in one log file; [`Component::log_of_this_start`] is what was written since the last start.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::installed::{self, User};
use crate::wait::wait_until;

/// How much of a log an error shows.
const LOG_LINES_SHOWN: usize = 50;
/// How long a killed process may take to disappear.
const DEATH_DEADLINE: Duration = Duration::from_secs(20);

/// How a component is started: everything of it that stays the same from start to start.
#[derive(Clone, Debug)]
pub struct Recipe {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    user: Option<User>,
    stop_signal: Signal,
}

impl Recipe {
    /// A program which runs in `directory` and writes its log there. `name` is what messages call it.
    pub fn new(name: &str, program: impl Into<PathBuf>, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.to_owned(),
            user: None,
            stop_signal: Signal::TERM,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn arguments<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs as this user, when it is given.
    #[must_use]
    pub(super) fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// What [`Component::stop`] sends; SIGTERM unless said.
    #[must_use]
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.stop_signal = signal;
        self
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(installed::program("setpriv")?);
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = self.user {
            command.arg("--reuid").arg(user.user_id.to_string());
            command.arg("--regid").arg(user.group_id.to_string());
            command.arg("--init-groups");
        }
        command.arg("--").arg(&self.program).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.directory).stdin(Stdio::null());
        // Its own group, so that a Ctrl-C at the terminal goes to the test, and a kill of the group to all of the component.
        command.process_group(0);
        Ok(command)
    }

    /// Runs the program to its end, for the steps which prepare a component, and returns what it wrote to its standard output.
    pub fn run_to_end(&self) -> Result<String> {
        let output = self
            .command()?
            .output()
            .with_context(|| format!("could not run {}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "{} failed ({}):\n{}{}",
                self.name,
                output.status,
                text,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }
}

/// A running (or killed) process of a component. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Component {
    recipe: Recipe,
    log: PathBuf,
    log_bytes_before_start: u64,
    child: Option<Child>,
}

impl Component {
    /// Starts the process; it is not ready yet ([`Component::wait_ready`]).
    pub fn start(recipe: Recipe) -> Result<Self> {
        let log = recipe.directory.join(format!("{}.log", recipe.name));
        let mut component = Self {
            recipe,
            log,
            log_bytes_before_start: 0,
            child: None,
        };
        component.start_again()?;
        Ok(component)
    }

    /// Starts the process again with the same recipe, after [`Component::stop`], [`Component::kill9`] or its own end.
    pub fn start_again(&mut self) -> Result<()> {
        if self.is_running()? {
            bail!("{} is running already", self.recipe.name);
        }
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("could not open {}", self.log.display()))?;
        self.log_bytes_before_start = log.metadata()?.len();
        let mut command = self.recipe.command()?;
        command.stdout(log.try_clone()?).stderr(log);
        let child = spawn_in_lasting_thread(command)
            .with_context(|| format!("could not start {}", self.recipe.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Replaces the arguments for the next start.
    pub fn set_arguments<I: IntoIterator<Item: Into<OsString>>>(&mut self, arguments: I) {
        self.recipe.arguments = arguments.into_iter().map(Into::into).collect();
    }

    /// Asks until the component says that it is ready. It fails early when the process ends, and every failure shows the end of the log.
    pub fn wait_ready<T>(
        &mut self,
        deadline: Duration,
        mut is_ready: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let what = format!("{} is ready", self.recipe.name);
        let result = wait_until(&what, deadline, || {
            if let Some(status) = self.exit_status()? {
                bail!("{} ended ({status})", self.recipe.name);
            }
            is_ready(self)
        });
        result.map_err(|error| anyhow!("{error:#}\n{}", self.describe_log()))
    }

    /// The process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.is_some() && self.exit_status()?.is_none())
    }

    /// How the process ended by itself, when it did.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => child
                .try_wait()
                .with_context(|| format!("could not wait for {}", self.recipe.name)),
            None => Ok(None),
        }
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self
            .pid()
            .with_context(|| format!("{} is not running", self.recipe.name))?;
        kill_process(process, signal)
            .with_context(|| format!("could not send {signal:?} to {}", self.recipe.name))
    }

    /// Asks the process to end, and waits until it has.
    pub fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(self.recipe.stop_signal)?;
        let what = format!("{} has stopped", self.recipe.name);
        let status = wait_until(&what, deadline, || self.exit_status())
            .map_err(|error| anyhow!("{error:#}\n{}", self.describe_log()))?;
        self.child = None;
        Ok(status)
    }

    /// `kill -9`: the process and all its descendants, wherever they are, are gone when this returns. Nothing is flushed and nobody is told.
    pub fn kill9(&mut self) -> Result<()> {
        let Some(process) = self.pid() else {
            return Ok(());
        };
        // Postgres' backends are their own sessions: killing the group does not reach them, and a restart would find their shared memory.
        let descendants = descendants_of(process)?;
        // An error means that it is gone already, which is what is wanted.
        let _ = kill_process_group(process, Signal::KILL);
        for descendant in &descendants {
            let _ = kill_process(*descendant, Signal::KILL);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child
                .wait()
                .with_context(|| format!("could not wait for {}", self.recipe.name))?;
        }
        let what = format!("the children of {} are gone", self.recipe.name);
        wait_until(&what, DEATH_DEADLINE, || {
            Ok(descendants
                .iter()
                .all(|descendant| is_gone(*descendant))
                .then_some(()))
        })
    }

    /// The log of all starts.
    pub fn log(&self) -> String {
        read_from(&self.log, 0)
    }

    /// What was logged since the last start.
    pub fn log_of_this_start(&self) -> String {
        read_from(&self.log, self.log_bytes_before_start)
    }

    /// The end of the log under a headline, for error messages.
    pub fn describe_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines
            .get(lines.len().saturating_sub(LOG_LINES_SHOWN)..)
            .unwrap_or_default();
        format!(
            "--- the last {} lines of {}:\n{}\n---",
            shown.len(),
            self.log.display(),
            shown.join("\n")
        )
    }

    fn pid(&self) -> Option<Pid> {
        self.process_id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if thread::panicking() {
            // The test has failed, and its folder goes with it: this is the last chance to see why.
            eprintln!("{}", self.describe_log());
        }
        if let Err(error) = self.kill9() {
            eprintln!("{error:#}");
        }
    }
}

fn read_from(path: &Path, offset: u64) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
}

/// Runs a client to its end with a script as its standard input, and returns what it printed. Its failure shows its messages and the script.
pub(super) fn run_with_input(mut command: Command, script: &str) -> Result<String> {
    let program = command.get_program().to_owned();
    let what = || format!("could not run {}", program.display());
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(what)?;
    let input = process.stdin.take();
    let output = thread::scope(|scope| {
        // Beside the reading: a client which prints as it reads would wait for us, and we for it.
        scope.spawn(move || {
            // If the client has ended, its own message says why.
            input.map(|mut input| input.write_all(script.as_bytes()))
        });
        process.wait_with_output().with_context(what)
    })?;
    if !output.status.success() {
        bail!(
            "{} failed ({}): {}\nin: {script}",
            program.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts a process from the thread which outlives all tests: a process started with `--pdeathsig` dies when the *thread* that started it ends.
fn spawn_in_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, SyncSender<io::Result<Child>>);
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();

    let orders = ORDERS.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in receiver {
                // Whoever asked waits for the reply; if not, the child is of no use to anyone.
                if let Err(mpsc::SendError(Ok(mut child))) = reply.send(command.spawn()) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        });
        sender
    });
    let (reply, answer) = mpsc::sync_channel(1);
    orders.send((command, reply)).map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

/// All processes whose chain of parents leads to `ancestor`.
fn descendants_of(ancestor: Pid) -> Result<Vec<Pid>> {
    let mut parents: Vec<(Pid, Pid)> = Vec::new();
    for entry in fs::read_dir("/proc")
        .context("could not read /proc")?
        .flatten()
    {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        if let Some((_, parent)) = state_and_parent(process) {
            parents.push((process, parent));
        }
    }
    let mut found = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(process, _)| *process),
        );
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// The state letter and the parent of a process, while it has an entry in /proc.
fn state_and_parent(process: Pid) -> Option<(char, Pid)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // `pid (name) state parent ...`, where the name may hold spaces and parentheses.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = Pid::from_raw(fields.next()?.parse().ok()?)?;
    Some((state, parent))
}

/// Gone, or dead and only waiting for its parent to notice.
fn is_gone(process: Pid) -> bool {
    state_and_parent(process).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::components::Directory;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn shell(directory: &Directory, script: &str) -> Recipe {
        Recipe::new("shell", "/bin/sh", directory.path())
            .argument("-c")
            .argument(script)
    }

    fn wait_for_line(component: &mut Component, line: &str) {
        component
            .wait_ready(DEADLINE, |component| {
                Ok(component
                    .log_of_this_start()
                    .lines()
                    .any(|found| found == line)
                    .then_some(()))
            })
            .unwrap();
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let directory = Directory::new("process").unwrap();
        let recipe = shell(&directory, "echo started; exec sleep 1000");
        let asking = thread::spawn(move || {
            let mut component = Component::start(recipe.clone()).unwrap();
            wait_for_line(&mut component, "started");
            // The control: a child of this very thread, which the kernel kills as the thread ends, and later than it would the first.
            let mut control = recipe
                .command()
                .unwrap()
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(control.stdout.as_mut().unwrap())
                .read_line(&mut line)
                .unwrap();
            (component, control)
        });
        let (mut component, mut control) = asking.join().unwrap();
        control.wait().unwrap();
        assert!(component.is_running().unwrap());
    }

    #[test]
    fn a_kill_reaches_children_in_other_sessions() {
        let directory = Directory::new("process").unwrap();
        let mut component =
            Component::start(shell(&directory, "setsid sleep 1000 & echo started; wait")).unwrap();
        wait_for_line(&mut component, "started");
        let process = component.pid().unwrap();
        let children = wait_until("the child is there", DEADLINE, || {
            Ok(Some(descendants_of(process)?).filter(|found| !found.is_empty()))
        })
        .unwrap();
        component.kill9().unwrap();
        assert!(is_gone(process) && children.into_iter().all(is_gone));
    }

    #[test]
    fn a_process_that_ends_early_shows_its_log() {
        let directory = Directory::new("process").unwrap();
        let mut component =
            Component::start(shell(&directory, "seq 1 60; echo no luck >&2; exit 3")).unwrap();
        let error = component
            .wait_ready(DEADLINE, |_| Ok(None::<()>))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("shell ended (exit status: 3)") && error.contains("no luck"),
            "{error}"
        );
        assert!(
            error.contains("\n60\n") && !error.contains("\n10\n"),
            "only the last lines are shown: {error}"
        );
    }

    #[test]
    fn every_start_has_its_own_log() {
        let directory = Directory::new("process").unwrap();
        let mut component =
            Component::start(shell(&directory, "echo \"number $$\"; exec sleep 1000")).unwrap();
        let line = format!("number {}", component.process_id().unwrap());
        wait_for_line(&mut component, &line);
        let status = component.stop(DEADLINE).unwrap();
        assert!(!status.success(), "a signal ended it");
        component.start_again().unwrap();
        let second_line = format!("number {}", component.process_id().unwrap());
        wait_for_line(&mut component, &second_line);
        assert_eq!(component.log(), format!("{line}\n{second_line}\n"));
        assert_eq!(component.log_of_this_start(), format!("{second_line}\n"));
    }
}
