//! A client's request as the exchange.
use crate::exchange::Exchange;
use crate::registry::DialectId;
use crate::wire::{FieldError, Headers};

pub(super) fn read(_body: &[u8], _headers: &dyn Headers) -> Result<Exchange, FieldError> {
    Ok(Exchange::new(DialectId::OpenaiChat, String::new()))
}
