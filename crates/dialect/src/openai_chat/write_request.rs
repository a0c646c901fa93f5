//! The exchange as a request to a provider.
use domain::LossReport;

use crate::exchange::Exchange;
use crate::wire::{FieldError, Target, UpstreamRequest};

pub(super) fn write(
    _exchange: &Exchange,
    _target: &Target<'_>,
    _loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    Ok(UpstreamRequest { body: Vec::new(), headers: Vec::new() })
}
