//! W3C trace context: the caller's trace goes on to the provider, under a span of our own.
//!
//! Source: W3C Recommendation "Trace Context", version 00.

/// A valid `traceparent` of version 00, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent<'a> {
    /// 32 lower-case hexadecimal digits, not all zero.
    pub trace: &'a str,
    /// Two hexadecimal digits.
    flags: &'a str,
}

impl<'a> TraceParent<'a> {
    /// Reads a header; anything that is not valid is no trace, as the recommendation says.
    pub fn parse(header: &'a str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let shaped = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        let later = version != "00" && version != "ff";
        let valid = shaped
            && !zero(trace)
            && !zero(span)
            && (later || (version == "00" && parts.next().is_none()));
        valid.then_some(Self { trace, flags })
    }

    /// The header for the provider: the same trace, another span.
    pub fn child(&self, span: u64) -> String {
        // An all-zero span is invalid.
        format!("00-{}-{:016x}-{}", self.trace, span.max(1), self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_trace_goes_on_under_a_new_span() {
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = TraceParent::parse(header).unwrap();
        assert_eq!(parent.child(1), "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01");
    }

    #[test]
    fn what_is_not_valid_is_no_trace() {
        for header in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }
}
