//! The data folder, when no gateway owns it.

use ledger::{Record, Start, Stop};
use store::{OpenOptions, Store};

use crate::cli::Global;
use crate::clock;
use crate::exit::{Context as _, Exit, Failure};
use crate::surroundings::{self, Process};

/// Opens the folder for reading, beside a running gateway or without one.
pub(crate) fn read(global: &Global) -> Result<store::LedgerReader, Failure> {
    let dir = surroundings::data_dir(global);
    if !dir.join("ledger.db").exists() {
        let message = format!("there is no ledger in {}", dir.display());
        return Err(Failure::new(Exit::Failed, message)
            .hint("`outrigger serve` makes one; `--data-dir` names another folder"));
    }
    Store::open_read_only(&dir).cant(format!("open the ledger in {}", dir.display()))
}

/// Opens the folder for writing, does something with it, and appends the records that tell of it.
pub(crate) fn write<T>(
    global: &Global,
    why: &'static str,
    act: impl FnOnce(&Store) -> Result<(T, Vec<Record>), Failure>,
) -> Result<T, Failure> {
    let dir = surroundings::data_dir(global);
    let mut options = OpenOptions::new(&dir);
    options.master_key = config::Env::var(&Process, "OUTRIGGER_MASTER_KEY").map(String::into_bytes);
    let (store, _) = Store::open(&options).cant(format!("open {}", dir.display()))?;
    let (result, records) = act(&store)?;
    if records.is_empty() {
        return Ok(result);
    }
    let start = Start {
        at: clock::now(),
        version: concat!("outrigger ", env!("CARGO_PKG_VERSION"), " cli").into(),
        config_revision: 0,
        durability: ledger::Durability::Strict,
    };
    append(&store, &Record::Start(start))?;
    for record in &records {
        append(&store, record)?;
    }
    append(&store, &Record::Stop(Stop { at: clock::now(), why: why.into() }))?;
    Ok(result)
}

fn append(store: &Store, record: &Record) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().cant("start")?;
    let receipt = store.writer().append(record);
    runtime.block_on(receipt).map(drop).cant("write to the ledger")
}
