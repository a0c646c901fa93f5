use super::*;

fn class(status: u16, body: &str) -> ErrorClass {
    of_answer(status, &(), body.as_bytes()).class
}

#[test]
fn statuses_and_words_give_the_class() {
    use ErrorClass::*;
    let table = [
        (429, r#"{"error":{"code":"rate_limit_exceeded","type":"tokens"}}"#, RateLimited),
        (429, r#"{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}"#, Quota),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan"}}"#,
            Quota,
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
            RateLimited,
        ),
        (429, "", RateLimited),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Quota),
        (401, r#"{"error":{"code":"invalid_api_key"}}"#, Auth),
        (403, r#"{"type":"error","error":{"type":"permission_error"}}"#, Auth),
        (403, r#"{"error":{"code":"insufficient_balance"}}"#, Quota),
        (404, r#"{"error":{"code":"model_not_found"}}"#, ModelNotFound),
        (404, "<html>", ModelNotFound),
        (
            400,
            r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 205000 tokens > 200000 maximum"}}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}"#,
            ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            ContentFilter,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            Quota,
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","param":"temperature"}}"#,
            InvalidRequest,
        ),
        (413, r#"{"type":"error","error":{"type":"request_too_large"}}"#, ContextTooLong),
        (413, "", InvalidRequest),
        (415, "", InvalidRequest),
        (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, InvalidRequest),
        (408, "", Timeout),
        (409, "", ServerError),
        (500, r#"{"error":{"type":"server_error"}}"#, ServerError),
        (500, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Overloaded),
        (502, "bad gateway", ServerError),
        (503, "", Overloaded),
        (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Overloaded),
        (302, "", BadResponse),
        (200, "{}", BadResponse),
    ];
    for (status, body, expected) in table {
        assert_eq!(class(status, body), expected, "{status} {body}");
    }
}

#[test]
fn objects_within_an_answer_are_read_without_a_status() {
    let table = [
        (r#"{"type":"overloaded_error","message":"Overloaded"}"#, ErrorClass::Overloaded),
        (r#"{"code":502,"message":"Provider disconnected"}"#, ErrorClass::ServerError),
        (r#"{"code":"429","message":"slow down"}"#, ErrorClass::RateLimited),
        (r#"{"code":"insufficient_quota"}"#, ErrorClass::Quota),
        (r#""something broke""#, ErrorClass::ServerError),
        ("null", ErrorClass::ServerError),
        ("not json", ErrorClass::ServerError),
    ];
    for (object, expected) in table {
        assert_eq!(of_object(object.as_bytes()).class, expected, "{object}");
    }
    assert_eq!(of_object(br#""something broke""#).message, "something broke");
}

#[test]
fn waits_are_read_from_every_form_and_bounded() {
    let wait = |headers: &[(&str, &str)]| of_answer(429, &headers, b"").hint.retry_after_ms;
    assert_eq!(wait(&[("retry-after-ms", "1500"), ("retry-after", "9")]), Some(1_500));
    assert_eq!(wait(&[("retry-after", "7")]), Some(7_000));
    assert_eq!(wait(&[("retry-after", "0.25")]), Some(250));
    assert_eq!(wait(&[("retry-after", "99999999999999999999")]), Some(WAIT_MAX_MS));
    assert_eq!(wait(&[("retry-after", "-1")]), None);
    assert_eq!(wait(&[("retry-after", "soon")]), None);
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), Some(30_000));
    assert_eq!(wait(&[date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(0));
    assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), None);
    let gemini = br#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"34s"}]}}]"#;
    assert_eq!(of_answer(429, &(), gemini).hint.retry_after_ms, Some(34_000));
}

#[test]
fn messages_are_made_harmless() {
    let fault = of_answer(
        401,
        &(),
        b"{\"error\":{\"message\":\"Incorrect key\\n sk-abcdefghijklmnopqrst: \\u0007x\\u202e\"}}",
    );
    assert_eq!(fault.message, "Incorrect key  [key] x");
    let long = format!("{{\"error\":\"{}\"}}", "\u{e9}".repeat(600));
    let message = of_answer(500, &(), long.as_bytes()).message;
    assert!(message.len() <= MESSAGE_MAX && message.len() > MESSAGE_MAX - 4);
    assert_eq!(of_answer(502, &(), b"<html><body>x").message, "");
    assert_eq!(of_answer(502, &(), b"upstream connect error").message, "upstream connect error");
}
