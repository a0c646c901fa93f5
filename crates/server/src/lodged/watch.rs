//! Batches nobody asks for: the gateway does, now and then, so that each is settled by what it used.

use std::rc::Rc;
use std::time::Duration;

use dialect::DialectId;
use dialect::batches::batch_state;
use domain::Endpoint;
use ledger::AttemptKey;
use store::{Binding, Thing};
use tokio::time::Instant;

use super::batch::{self, SAID_MAX, collect};
use super::open::Lies;
use super::{at, batches, end, local, record};
use crate::worker::Worker;

/// How often it is looked whether one is to be asked for.
const TICK: Duration = Duration::from_secs(20);

/// Watches over the batches that run, for as long as the gateway does.
pub async fn watch(worker: Rc<Worker>) {
    find_restored(&worker).await;
    let mut every = tokio::time::interval(TICK);
    loop {
        every.tick().await;
        for key in worker.gateway.batches.due(worker.gateway.now()) {
            look(&worker, key).await;
        }
    }
}

/// Finds out where the batches lie that earlier processes began.
async fn find_restored(worker: &Worker) {
    let gateway = &worker.gateway;
    if gateway.batches.count() == 0 || !gateway.bindings.are_any() {
        return;
    }
    let known = match gateway.bindings.batches(gateway.now()).await {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "where batches lie can't be read; they are charged as reserved");
            return;
        }
    };
    for binding in known {
        if let (Some(key), Some(lies)) = (batch::key_of(&binding.note), lies(&binding)) {
            gateway.batches.lies(key, lies);
        }
    }
}

fn lies(binding: &Binding) -> Option<Lies> {
    Some(Lies {
        id: binding.id.clone(),
        app: binding.app.clone(),
        provider: domain::ProviderName::new(&binding.provider).ok()?,
        client: DialectId::ALL.iter().copied().find(|it| it.as_str() == binding.dialect)?,
        credential: binding.credential,
        measured: batch::measured_of(&binding.note)?,
    })
}

/// Asks for the batch that is about to be deleted, if its row is open.
pub(super) async fn look_at(worker: &Rc<Worker>, binding: &Binding) {
    if let Some(key) = batch::key_of(&binding.note) {
        look(worker, key).await;
    }
}

/// Asks for a batch; closes its row if it has ended, or if its time is over.
async fn look(worker: &Rc<Worker>, key: AttemptKey) {
    let gateway = &worker.gateway;
    let Some((lies, deadline)) = gateway.batches.view(key) else { return };
    gateway.batches.looked(key, gateway.now());
    if let Some(lies) = lies
        && let Err(why) = ask(worker, key, &lies).await
    {
        tracing::warn!(request = %key.request, batch = lies.id, why, "a batch can't be asked for");
    }
    if gateway.now() >= deadline {
        end::give_up(worker, key).await;
    }
}

async fn ask(worker: &Rc<Worker>, key: AttemptKey, lies: &Lies) -> Result<(), String> {
    let gateway = &worker.gateway;
    let snapshot = gateway.snapshot.load_full();
    let provider = snapshot.provider(lies.provider.as_str()).ok_or("its provider is gone")?;
    let (idle, total) = (provider.idle, provider.total);
    let path = format!("{}/{}", batches(lies.client), lies.id);
    let said = async {
        let mut reply = at::fetch(worker, &snapshot, lies, Endpoint::Batches, path).await?;
        collect(&mut reply, idle, Instant::now() + total, SAID_MAX).await
    };
    let said = said.await.map_err(|fault| fault.fault.message)?;
    let said = local(lies.client, said);
    let state = batch_state(&said, lies.client).ok_or("the answer is no batch")?;
    let now = gateway.now();
    let kept = gateway.bindings.get(Thing::Batch, &lies.app, &lies.id, now).await;
    if let Some(mut binding) = kept.map_err(|error| error.to_string())? {
        binding.said = String::from_utf8_lossy(&said).into_owned();
        record(worker, binding, &state).await.map_err(|error| error.to_string())?;
    }
    if state.ended {
        end::settle(worker, key, &state).await;
    }
    Ok(())
}
