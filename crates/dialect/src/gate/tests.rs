use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn kind(text: &str) -> Option<GateErrorKind> {
    scan(text.as_bytes(), GateLimits::default()).err().map(|error| error.kind)
}

fn duplicate(text: &str) -> Option<String> {
    match kind(text)? {
        GateErrorKind::DuplicateField(name) => Some(name),
        other => panic!("{other}"),
    }
}

#[test]
fn ordinary_bodies_pass() {
    for text in [
        "{}",
        " \t\r\n{ } \n",
        r#"{"model":"m","messages":[{"role":"user","content":"h\u00e9\n\ud83d\ude00"}],"n":1}"#,
        r#"{"a":[],"b":[{}],"c":[1,-0,0.5,1e5,-1E-7,true,false,null,"",[[]]]}"#,
        r#"{"a":{"x":1},"b":{"x":2},"":3}"#,
        "{\"a\":\"\u{2028}\u{7f}\u{10ffff}\"}",
    ] {
        assert_eq!(kind(text), None, "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused_where_it_goes_wrong() {
    for (text, offset) in [
        ("", 0),
        ("[]", 0),
        ("null", 0),
        ("\u{feff}{}", 0),
        ("{", 1),
        ("{}x", 2),
        ("{}{}", 2),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":[1,]}"#, 8),
        (r#"{"a":[1}"#, 7),
        (r#"{"a":{]"#, 6),
        (r"{'a':1}", 1),
        (r#"{"a":01}"#, 6),
        (r#"{"a":+1}"#, 5),
        (r#"{"a":1.}"#, 7),
        (r#"{"a":.5}"#, 5),
        (r#"{"a":1e}"#, 7),
        (r#"{"a":-}"#, 6),
        (r#"{"a":NaN}"#, 5),
        (r#"{"a":tru}"#, 5),
        (r#"{"a":"\x"}"#, 6),
        (r#"{"a":"\u12g4"}"#, 6),
        (r#"{"a":"\ud800"}"#, 6),
        (r#"{"a":"\udc00"}"#, 6),
        (r#"{"a":"\ud800A"}"#, 6),
        ("{\"a\":\"x\ny\"}", 7),
        ("{\"a\":\"0123456789012345678901234567890123456789\u{1}\"}", 46),
        (r#"{"a":"b"#, 7),
        (r#"{"a":1 /* no */}"#, 7),
    ] {
        let error = scan(text.as_bytes(), GateLimits::default()).unwrap_err();
        assert_eq!((error.kind, error.offset), (GateErrorKind::BadJson, offset), "{text}");
    }
    let error = scan(b"{\"a\":\"\xc0\xaf\"}", GateLimits::default()).unwrap_err();
    assert_eq!((error.kind, error.offset), (GateErrorKind::BadJson, 6));
}

#[test]
fn a_key_twice_is_refused_at_every_level_and_in_every_spelling() {
    assert_eq!(duplicate(r#"{"model":"a","model":"b"}"#).as_deref(), Some("model"));
    assert_eq!(duplicate(r#"{"model":"a","mod\u0065l":"b"}"#).as_deref(), Some("model"));
    assert_eq!(duplicate(r#"{"a":[{"b":{"x":1,"x":1}}]}"#).as_deref(), Some("x"));
    assert_eq!(duplicate(r#"{"\ud83d\ude00":1,"😀":2}"#).as_deref(), Some("😀"));
    assert_eq!(kind(r#"{"a":{"x":1},"x":{"a":1,"b":{"a":1}}}"#), None);
    let mut text = String::from("{");
    for number in 0..40 {
        write!(text, "\"k{number}\":{{\"k1\":0}},").unwrap();
    }
    assert_eq!(duplicate(&format!("{text}\"k\\u0033\":1}}")).as_deref(), Some("k3"));
    assert_eq!(duplicate(&format!("{text}\"k39\":1}}")).as_deref(), Some("k39"));
    assert_eq!(kind(&format!("{text}\"k40\":1}}")), None);
}

#[test]
fn giants_are_refused_by_their_limit() {
    let nest = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(kind(&nest(64)), None);
    assert_eq!(kind(&nest(65)), Some(GateErrorKind::TooDeep));
    assert_eq!(kind(&format!("{{\"a\":{}", "[".repeat(100_000))), Some(GateErrorKind::TooDeep));
    let keys = |count: usize| {
        let keys: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert_eq!(kind(&keys(4_096)), None);
    assert_eq!(kind(&keys(100_000)), Some(GateErrorKind::TooManyKeys));
    let many = vec![keys(1_000); 100].join(",");
    assert_eq!(kind(&format!("{{\"a\":[{many}]}}")), Some(GateErrorKind::TooManyKeys));
    assert_eq!(kind(&format!("{{\"{}\":1}}", "k".repeat(2_000))), Some(GateErrorKind::TooManyKeys));
    assert_eq!(kind(r#"{"a":1e999}"#), Some(GateErrorKind::NumberRange));
    assert_eq!(kind(r#"{"a":0e999}"#), None);
    assert_eq!(kind(&format!("{{\"a\":{}}}", "9".repeat(400))), Some(GateErrorKind::NumberRange));
}

fn json() -> impl Strategy<Value = String> {
    let text =
        r#"[a-c"\\\n\u{e9}\u{1f600}]{0,6}"#.prop_map(|it| serde_json::to_string(&it).unwrap());
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|it| it.to_string()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        text.clone(),
    ];
    leaf.prop_recursive(5, 60, 20, move |inner| {
        let pair = (text.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|it| format!("[{}]", it.join(" ,"))),
            prop::collection::vec(pair, 0..25).prop_map(|it| format!("{{{}}}", it.join(",\n"))),
        ]
    })
}

/// The same question, answered by a parser that notices every key twice.
struct Unique;

impl<'de> serde::de::DeserializeSeed<'de> for &Unique {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for &Unique {
    type Value = ();
    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(self)?;
            if !seen.insert(key) {
                return Err(serde::de::Error::custom("twice"));
            }
        }
        Ok(())
    }
}

fn reference(text: &[u8]) -> bool {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let object = text.iter().find(|byte| !b" \t\r\n".contains(byte)) == Some(&b'{');
    object
        && serde::de::DeserializeSeed::deserialize(&Unique, &mut parser).is_ok()
        && parser.end().is_ok()
}

proptest! {
    #[test]
    fn agrees_with_another_parser(text in json()) {
        let body = format!("{{\"x\":{text}}}");
        prop_assert_eq!(scan(body.as_bytes(), GateLimits::default()).is_ok(), reference(body.as_bytes()), "{}", body);
    }

    #[test]
    fn agrees_on_damaged_text(text in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = format!("{{\"x\":{text}}}").into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        prop_assert_eq!(scan(&body, GateLimits::default()).is_ok(), reference(&body), "{:?}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn unescaping_agrees(text in any::<String>()) {
        let raw = serde_json::to_string(&text).unwrap();
        let bytes: Vec<u8> = Unescaped::new(&raw.as_bytes()[1..raw.len() - 1]).collect();
        prop_assert_eq!(bytes, text.into_bytes());
    }
}
