//! Files that were damaged while the server was down, and directories it cannot start on.

use anyhow::{Context, Result, ensure};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Directory, Tidemark, TidemarkOptions};

use crate::number;

/// A stopped server's data: two tables, parts from a compaction, and a last segment with many records.
fn stopped() -> Result<Tidemark> {
    let flags = ["--log-compaction-bytes-min", "100000"].map(str::to_owned).to_vec();
    let mut tidemark = Tidemark::start(TidemarkOptions { flags, ..TidemarkOptions::default() })?;
    let mut client = tidemark.connect()?;
    client.batch_execute("CREATE TABLE t (a int, b text); CREATE TABLE u (a int)")?;
    for n in 0..30 {
        client.batch_execute(&format!("INSERT INTO t SELECT {n} * 100 + a, repeat('x', 100) FROM generate_series(1, 100) AS a"))?;
    }
    for n in 0..20 {
        client.batch_execute(&format!("INSERT INTO u VALUES ({n})"))?;
    }
    ensure!(tidemark.stop()?.success());
    Ok(tidemark)
}

fn files(tidemark: &Tidemark, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(tidemark.data_directory())?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    found.sort();
    ensure!(!found.is_empty(), "no {prefix}");
    Ok(found)
}

fn flip(path: &Path, offset: u64) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ 1], offset)?;
    Ok(())
}

/// Why it does not start.
fn refusal(tidemark: &mut Tidemark) -> Result<String> {
    match tidemark.start_again() {
        Ok(()) => anyhow::bail!("it starts"),
        Err(_) => {
            let log = tidemark.component().log_of_this_start();
            Ok(log.lines().skip_while(|line| !line.starts_with("tidemark: error:")).collect::<Vec<_>>().join("\n"))
        }
    }
}

#[test]
fn a_flipped_bit_is_named_with_file_and_offset() -> Result<()> {
    let mut tidemark = stopped()?;
    let mut checked = 0;
    for prefix in ["manifest-", "segment-", "part-"] {
        let path = files(&tidemark, prefix)?.pop().context("a file")?;
        let length = fs::metadata(&path)?.len();
        for offset in [20, length / 2, length - 12] {
            flip(&path, offset)?;
            let message = refusal(&mut tidemark).with_context(|| format!("with a bit flipped at {offset} of {}", path.display()))?;
            ensure!(message.contains(&format!("file \"{}\" is corrupted at offset", path.display())), "{message}");
            ensure!(message.contains("hint: Nothing was changed. Restore the directory from a backup"), "{message}");
            flip(&path, offset)?;
            checked += 1;
        }
    }
    println!("{checked} flipped bits found");
    tidemark.start_again()?;
    ensure!(number(&mut tidemark.connect()?, "SELECT count(*) FROM t")? == 3_000);
    Ok(())
}

/// The last append of a killed server may be torn; nobody was told about it. Anything before it that is torn is damage.
#[test]
fn a_torn_frame_is_cut_off_at_the_end_and_damage_elsewhere() -> Result<()> {
    let mut tidemark = stopped()?;
    let segment = files(&tidemark, "segment-")?.pop().context("a segment")?;
    let whole = fs::read(&segment)?;
    // A sector that was never written, with records after it.
    let middle = whole.len() / 2 / 512 * 512;
    let mut torn = whole.clone();
    torn[middle..middle + 512].fill(0);
    fs::write(&segment, &torn)?;
    let message = refusal(&mut tidemark)?;
    ensure!(message.contains(&format!("file \"{}\" is corrupted at offset", segment.display())), "{message}");
    // The file ends within its last record.
    fs::write(&segment, &whole[..whole.len() - 5])?;
    tidemark.start_again()?;
    ensure!(tidemark.component().log_of_this_start().contains("cutting off an append that did not finish"));
    let mut client = tidemark.connect()?;
    ensure!(number(&mut client, "SELECT count(*) FROM u")? == 19, "all but the torn row are there");
    client.batch_execute("INSERT INTO u VALUES (100)")?;
    drop(client);
    tidemark.kill9()?;
    tidemark.start_again()?;
    ensure!(number(&mut tidemark.connect()?, "SELECT count(*) FROM u")? == 20);
    tidemark.kill9()?;
    // A file that is gone.
    let part = files(&tidemark, "part-")?.pop().context("a part")?;
    fs::remove_file(&part)?;
    let message = refusal(&mut tidemark)?;
    ensure!(message.contains(&format!("file \"{}\" is corrupted at offset 0: the file is missing", part.display())), "{message}");
    Ok(())
}

#[test]
fn a_start_that_is_impossible_says_who_must_act() -> Result<()> {
    let mut tidemark = Tidemark::start(TidemarkOptions::default())?;
    let process = tidemark.component().process_id().context("it runs")?;
    let binary = fs::read_link(format!("/proc/{process}/exe"))?;
    let data = tidemark.data_directory().to_owned();
    let directory = Directory::new("impossible")?;
    let start = |data: &Path, without_rights: bool| -> Result<String> {
        let mut command = Command::new("setpriv");
        if without_rights {
            // Root without its rights to override the modes of files.
            command.args(["--inh-caps=-all", "--bounding-set=-all"]);
        }
        let output = command.arg("--").arg(&binary).args(["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"]).arg(data).output()?;
        ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
        Ok(String::from_utf8(output.stderr)?)
    };
    let expect = |message: String, parts: &[&str]| -> Result<()> {
        ensure!(parts.iter().all(|part| message.contains(part)), "{message}\nshould say {parts:?}");
        Ok(())
    };
    expect(start(&data, false)?, &[&format!("is in use by another server (pid {process})"), "hint: Stop that server first, or name another directory with --data-dir."])?;
    ensure!(tidemark.stop()?.success());

    let file = directory.join("file");
    fs::write(&file, "not a directory")?;
    expect(start(&file, false)?, &[&format!("could not open the data directory \"{}\": it is not a directory", file.display()), "hint: Name a directory"])?;

    let closed = directory.join("closed");
    fs::create_dir(&closed)?;
    std::os::unix::fs::chown(&closed, Some(12_345), Some(12_345))?;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
    for path in [closed.clone(), closed.join("within")] {
        expect(start(&path, true)?, &["Permission denied", "hint: The directory and the files in it must belong to the user this server runs as."])?;
    }

    let manifest = files(&tidemark, "manifest-")?.pop().context("a manifest")?;
    let mut bytes = fs::read(&manifest)?;
    newer_format(&mut bytes);
    fs::write(&manifest, &bytes)?;
    let before = listing(&data)?;
    expect(start(&data, false)?, &["the data directory has format", "hint: Start the version of Tidemark that wrote it, or a newer one. Nothing was changed."])?;
    ensure!(listing(&data)? == before);
    Ok(())
}

/// Names and contents of all files but the lock, which says who tried last.
fn listing(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name != "lock") {
            found.push((path.clone(), fs::read(path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes a header say that it is of the next format.
fn newer_format(file: &mut [u8]) {
    file[8] += 1;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&file[..12]);
    checksum.update(&file[16..40]);
    file[12..16].copy_from_slice(&checksum.finalize().to_le_bytes());
}
