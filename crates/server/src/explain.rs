//! What the ledger says about one request.

use domain::{KeyPublicId, RequestId};
use serde_json::Value;

use crate::gateway::Gateway;

/// The account of a request, where the caller may see it.
pub fn request(
    _gateway: &Gateway,
    _id: RequestId,
    _caller: Option<&KeyPublicId>,
) -> Result<Option<Value>, store::OpenError> {
    Ok(None)
}
