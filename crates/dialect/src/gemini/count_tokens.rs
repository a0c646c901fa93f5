//! `:countTokens`.

use super::errors::classify_object;
use crate::count_tokens::{Counted, error_in};
use crate::wire::UpstreamFault;

pub(super) struct TotalTokens;

impl Counted for TotalTokens {
    const FIELD: &'static str = "totalTokens";

    fn error(body: &[u8]) -> Option<UpstreamFault> {
        error_in(body).map(classify_object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count_tokens::{holds, seen};

    #[test]
    fn counting_costs_nothing() {
        let busy = r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}"#;
        holds::<TotalTokens>(r#"{"totalTokens": 17, "promptTokensDetails": []}"#, busy);
        let class = seen::<TotalTokens>(busy).error.map(|fault| fault.class);
        assert_eq!(class, Some(domain::ErrorClass::Overloaded));
    }
}
