//! Backup, prune and repair.

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use domain::UnixMicros;
use ledger::Seq;
use ledger::maintain::{Damage, MaintainError, plan_prune, plan_repair};
use ledger::storage::StorageError;

use crate::sqlite::{SqliteStorage, failed};
use crate::{OpenError, SigningKey, Store, check_signature, files};

impl Store {
    /// Removes what was logged before `before`, leaving a signed checkpoint with the balances. Returns the
    /// checkpoint's number, or `None` when there was nothing to remove. Appends wait while rows are removed.
    pub fn prune(&self, before: UnixMicros, now: UnixMicros) -> Result<Option<Seq>, MaintainError> {
        let reads = SqliteStorage::open_read_only(&self.dir)?;
        let plan = plan_prune(&reads, &check_signature, before, now, &*self.signer)?;
        drop(reads);
        let Some(checkpoint) = plan else { return Ok(None) };
        let signer = self.signer.clone();
        let (send, receive) = mpsc::sync_channel(1);
        self.writer.work(Box::new(move |committer| {
            let pruned = ledger::maintain::prune(committer, checkpoint, &*signer);
            // The receiver below waits until this has run or the thread is gone.
            let _heard = send.send(pruned).is_ok();
        }));
        let gone = || StorageError::Io("the ledger's thread is gone".into());
        Ok(Some(receive.recv().map_err(|_| gone())??))
    }
}

/// Copies a folder's ledger into a new file `ledger.db` in the folder `to`, consistent at one instant, also
/// while a process writes. The copy has the log, its signed head and the keys' hashes, but neither the master key
/// nor the signing key: keep those apart.
pub fn backup(dir: &Path, to: &Path) -> Result<(), OpenError> {
    let source = SqliteStorage::open_read_only(dir)?;
    files::make_dir(to)?;
    let file = to.join(crate::sqlite::FILE);
    if file.exists() {
        let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(OpenError::File { path: file, source: error });
    }
    let name = file.to_string_lossy().into_owned();
    source.connection()?.execute("VACUUM INTO ?1", [name]).map_err(failed)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, private)
        .map_err(|source| OpenError::File { path: file, source })
}

/// Sets damaged records aside in a folder that no process holds; their bytes are kept in the table `damaged`.
/// Returns what was damaged and the repair record's number; `None` when nothing is.
pub fn repair(dir: &Path, by: &str, now: UnixMicros) -> Result<(Damage, Option<Seq>), OpenError> {
    let _lock = files::lock(dir)?;
    let seed = files::secret(dir, "signing.key")?;
    let signer = SigningKey::from_seed(seed.as_ref()).ok_or(OpenError::Random)?;
    let mut storage = SqliteStorage::open(dir)?;
    let damage = plan_repair(&storage, &check_signature)?;
    let cut = matches!(
        ledger::verify::restore(&storage, &check_signature)?,
        Err(ledger::replay::Fault::CutTail { .. })
    );
    if damage.places.is_empty() && !cut {
        return Ok((damage, None));
    }
    let by = Cow::Owned(by.to_owned());
    let seq = ledger::maintain::repair(&mut storage, &damage, &signer, now, by)?;
    Ok((damage, Some(seq)))
}
