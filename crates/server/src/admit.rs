//! admit: the worst case of an attempt, reserved before anything is sent.

use std::time::Duration;

use catalog::{Mode, PriceSheet};
use dialect::Peek;
use domain::{
    Endpoint, Feature, Features, ImageInput, Money, MoneyError, Price, UnixMicros, Usage, WorstCase,
};

use crate::dispatch;
use crate::errors::{self, Failure};
use crate::read::Ask;
use crate::realtime;
use crate::resolve::Resolved;
use crate::snapshot::Offer;

/// Encoded bytes of audio that make at most one token. Vendors count 10 (OpenAI) to 32 (Gemini) tokens a second; speech
/// at the lowest rate that is in use, 8 kbit/s, is 1,333 encoded bytes a second.
const AUDIO_BYTES_PER_TOKEN: u64 = 32;

/// Tokens of what a translation says in its own words: an instruction to answer in JSON, marks around what has no place
/// of its own. Longer ones stand for something longer that they replace.
const TRANSLATION_TOKENS: u64 = 128;

/// The most an attempt can use and cost.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// In tokens, all answers together.
    pub tokens: WorstCase,
    /// In money; `None` when no price is known or nothing bounds the output.
    pub money: Option<Money>,
    /// The price sheet's version.
    pub price_version: Option<u64>,
}

impl Bound {
    /// The part of one of several equal calls; rounded up, so that together they cover the whole.
    pub fn of_call(self, calls: u16) -> Self {
        if calls <= 1 {
            return self;
        }
        let count = u64::from(calls);
        let money = self.money.map(|all| {
            let parts = i64::from(calls);
            Money::from_pico(all.pico() / parts + i64::from(all.pico() % parts != 0))
        });
        let tokens = WorstCase {
            input: self.tokens.input.div_ceil(count),
            output: self.tokens.output.map(|all| all.div_ceil(count)),
        };
        Self { tokens, money, ..self }
    }
}

/// The failure of a request whose worst case no row can hold.
pub fn unrecordable(error: MoneyError) -> Failure {
    let why = format!("the worst case of this request can't be recorded: {error}");
    Failure::new(&errors::BAD_FIELD, why)
}

/// What will bound the output of an attempt at `offer`, for each answer.
///
/// The request's own limit comes first: it reaches the provider in any dialect. A translation writes the least of the
/// capability's limit and the model's, or the configuration's default where neither is known. A request that is only
/// forwarded keeps the client's bytes, so the capability's limit would bound nothing: the model's own does, and the
/// configuration's default is an assumption about a model of which nothing is known.
pub fn output_limit(ask: &Ask, resolved: &Resolved, offer: &Offer) -> Option<u64> {
    if ask.endpoint.is_passed_on() {
        // What is assumed of answers in text says nothing about pictures and voices.
        return ask.peek.limits.max_output.or(offer.max_output);
    }
    let forwarded = dispatch::written_in(ask, offer) == Some(ask.client.id());
    let written = if forwarded { None } else { resolved.max_output };
    let least = [written, offer.max_output].into_iter().flatten().min();
    ask.peek.limits.max_output.or(least).or(resolved.default_max_output)
}

/// Bounds an attempt at `offer`, whose answers are held to `max_output` each. An amount beyond what a row can hold is an
/// error: such an attempt is refused.
pub fn bound(
    ask: &Ask,
    offer: &Offer,
    max_output: Option<u64>,
    now: UnixMicros,
) -> Result<Bound, MoneyError> {
    let tokens = tokens(ask, offer, max_output);
    let sheet = offer.price_at(now);
    let in_session = ask.endpoint == Endpoint::Realtime;
    let life =
        offer.provider.total + if in_session { realtime::SESSION_MAX } else { Duration::ZERO };
    let span = (now, now.plus_micros(i64::try_from(life.as_micros()).unwrap_or(i64::MAX)));
    let features = if in_session { TURN } else { ask.peek.features };
    let money = match (&offer.prices, sheet) {
        // The price applies at completion: the dearest that may hold by then counts.
        (Some(prices), Some(sheet)) => {
            let bounded = prices.worst_case(span, Mode::Standard, &tokens, features)?;
            let bounded = bounded.filter(|_| !in_session || is_voiced(sheet, &SOUND));
            bounded.or_else(|| free(sheet).then_some(Money::ZERO))
        }
        _ if tokens == (WorstCase { input: 0, output: Some(0) }) => Some(Money::ZERO),
        _ => None,
    };
    Ok(Bound { tokens, money, price_version: sheet.map(version) })
}

/// The most tokens that an attempt at `offer` can use.
pub fn tokens(ask: &Ask, offer: &Offer, max_output: Option<u64>) -> WorstCase {
    match ask.endpoint {
        Endpoint::Chat => chat_tokens(ask, offer, max_output),
        Endpoint::Embeddings => {
            let bounded = embeds_bounded(&ask.peek, offer.max_input);
            let input = embedded_tokens(&ask.peek, offer.max_input);
            WorstCase { input, output: bounded.then_some(0) }
        }
        // Counting is free at every provider that offers it, and so are files and questions about batches.
        Endpoint::CountTokens | Endpoint::Models | Endpoint::Files | Endpoint::Batches => {
            WorstCase { input: 0, output: Some(0) }
        }
        Endpoint::Realtime => turn_tokens(offer, max_output),
        _ => passed_tokens(&ask.peek, offer, max_output),
    }
}

/// Whether the most that an attempt at `offer` can cost is known; `max_output` is what bounds its output.
pub fn is_known(ask: &Ask, max_output: Option<u64>, offer: &Offer, now: UnixMicros) -> bool {
    match ask.endpoint {
        Endpoint::Chat => is_known_of_chat(max_output, offer, now),
        Endpoint::Embeddings => {
            let bounded = embeds_bounded(&ask.peek, offer.max_input);
            offer.price_at(now).is_some_and(|sheet| bounded || free(sheet))
        }
        Endpoint::CountTokens | Endpoint::Models | Endpoint::Files | Endpoint::Batches => true,
        Endpoint::Realtime => {
            let bounded = turn_tokens(offer, max_output).output.is_some();
            let known = |sheet: &PriceSheet| bounded && is_voiced(sheet, &SOUND) || free(sheet);
            offer.price_at(now).is_some_and(known)
        }
        _ => {
            let bounded = passed_tokens(&ask.peek, offer, max_output).output.is_some();
            offer.price_at(now).is_some_and(|sheet| bounded || free(sheet))
        }
    }
}

/// The same of a chat request.
pub fn is_known_of_chat(max_output: Option<u64>, offer: &Offer, now: UnixMicros) -> bool {
    offer.price_at(now).is_some_and(|sheet| max_output.is_some() || free(sheet))
}

/// A turn of a session takes in everything said before, and answers by voice.
fn turn_tokens(offer: &Offer, max_output: Option<u64>) -> WorstCase {
    let output = max_output.filter(|_| offer.max_input.is_some());
    WorstCase { input: offer.max_input.unwrap_or(0), output }
}

/// What a turn may hold.
const TURN: Features =
    Features::NONE.with(Feature::AudioInput).with(Feature::Images).with(Feature::MediaOutput);

/// Sound, both ways.
const SOUND: Usage = Usage {
    input: 0,
    cache_read: 0,
    cache_write: 0,
    cache_write_long: 0,
    output: 0,
    reasoning: 0,
    audio_input: 1,
    audio_output: 1,
    image_input: 0,
};

/// Whether the sound in `usage` has prices of its own. Tables that leave them out would have it at the price of text, a
/// tenth of its cost.
pub fn is_voiced(sheet: &PriceSheet, usage: &Usage) -> bool {
    !sheet.assumed(usage).iter().any(|bucket| bucket.starts_with("audio"))
}

/// Whether nothing costs anything, so that no bound is needed.
pub fn free(sheet: &PriceSheet) -> bool {
    let tiers = sheet.tiers.iter().map(|tier| &tier.rates);
    std::iter::once(&sheet.rates).chain(tiers).all(|rates| {
        let others = [
            rates.cache_read,
            rates.cache_write,
            rates.cache_write_long,
            rates.reasoning,
            rates.audio_input,
            rates.audio_output,
            rates.image_input,
        ];
        rates.input == Price::ZERO
            && rates.output == Price::ZERO
            && others.into_iter().flatten().all(|price| price == Price::ZERO)
    })
}

/// The version as rows keep it.
pub fn version(sheet: &PriceSheet) -> u64 {
    sheet.version.0
}

fn chat_tokens(ask: &Ask, offer: &Offer, max_output: Option<u64>) -> WorstCase {
    let answers = u64::from(ask.peek.limits.answers.max(1));
    let added = added_tokens(ask, offer);
    let input = input_tokens(&ask.peek, added, offer.id.model().as_str(), offer.max_input);
    WorstCase {
        input: input.tokens.saturating_mul(answers),
        // Without a bound of the input there is none of the whole.
        output: max_output.filter(|_| input.bounded).map(|tokens| tokens.saturating_mul(answers)),
    }
}

/// What is passed on: text by its bytes, sound by its length, pictures by the rule of the model or its context.
fn passed_tokens(peek: &Peek, offer: &Offer, max_output: Option<u64>) -> WorstCase {
    let model = offer.id.model().as_str();
    let ruled = !has_images(peek) || catalog::image_rule(model).is_some();
    let seen = if ruled {
        input_tokens(peek, 0, model, offer.max_input)
    } else {
        let text = peek.text_bytes.saturating_add(peek.audio_bytes / AUDIO_BYTES_PER_TOKEN);
        Input { tokens: offer.max_input.unwrap_or(text), bounded: offer.max_input.is_some() }
    };
    let answers = u64::from(peek.limits.answers.max(1));
    WorstCase {
        input: seen.tokens,
        output: max_output.filter(|_| seen.bounded).map(|tokens| tokens.saturating_mul(answers)),
    }
}

/// What the provider adds by itself, and the translation into its dialect.
fn added_tokens(ask: &Ask, offer: &Offer) -> u64 {
    let Some(id) = dispatch::written_in(ask, offer) else { return 0 };
    let translated = if id == ask.client.id() { 0 } else { TRANSLATION_TOKENS };
    dialect::dialect(id).added_input(ask.peek.features).saturating_add(translated)
}

/// A model's limit is that of one input, and a request holds many. What an image makes of its own no vendor says.
fn embedded_tokens(peek: &Peek, max_input: Option<u64>) -> u64 {
    let most = max_input.map(|most| most.saturating_mul(peek.message_count.into()));
    match most {
        Some(most) if has_images(peek) => most,
        most => peek.text_bytes.min(most.unwrap_or(u64::MAX)),
    }
}

/// Whether [`embedded_tokens`] is all there can be.
fn embeds_bounded(peek: &Peek, max_input: Option<u64>) -> bool {
    max_input.is_some() || !has_images(peek)
}

fn has_images(peek: &Peek) -> bool {
    !peek.images.is_empty() || peek.further_images > 0
}

/// What a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Input {
    tokens: u64,
    /// Whether that is all there can be.
    bounded: bool,
}

/// No byte-level tokenizer makes more tokens than there are bytes of text; images cost what their vendor's rule says;
/// no model takes more than its context.
///
/// A document with pages is bounded by the context alone. Each page costs text (vendors speak of up to 3,000 tokens and
/// set no end to it) and a picture of the page (up to 4,784 tokens at Anthropic), and nothing that can be seen without
/// laying the document out bounds the pages: the page tree may name one page many times, in six bytes each, and both it
/// and the text may be compressed, a thousand bytes to one. Vendors' own limits (Anthropic: 600 pages, 100 where the
/// context is short of a million tokens) let through more than fills the context.
fn input_tokens(peek: &Peek, added: u64, model: &str, max_input: Option<u64>) -> Input {
    let seen = peek
        .text_bytes
        .saturating_add(added)
        .saturating_add(image_tokens(peek, model))
        .saturating_add(peek.audio_bytes / AUDIO_BYTES_PER_TOKEN);
    match max_input {
        Some(most) if peek.paged_documents > 0 => Input { tokens: most, bounded: true },
        Some(most) => Input { tokens: seen.min(most), bounded: true },
        None => Input { tokens: seen, bounded: peek.paged_documents == 0 },
    }
}

fn image_tokens(peek: &Peek, model: &str) -> u64 {
    // Looked up for the few requests that have images.
    if peek.images.is_empty() {
        return 0;
    }
    let Some(rule) = catalog::image_rule(model).map(|fact| fact.value) else { return u64::MAX };
    let further =
        rule.most_tokens(ImageInput::default()).saturating_mul(peek.further_images.into());
    let known = peek.images.iter().map(|image| rule.most_tokens(*image));
    known.fold(further, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use domain::ImageDetail;

    use super::*;

    fn image(width: u32, height: u32) -> ImageInput {
        ImageInput { size: Some((width, height)), detail: ImageDetail::Auto }
    }

    fn bounded(tokens: u64) -> Input {
        Input { tokens, bounded: true }
    }

    fn peek(fill: impl FnOnce(&mut Peek)) -> Peek {
        let mut peek = Peek::default();
        fill(&mut peek);
        peek
    }

    #[test]
    fn images_count_by_the_rule_of_the_model_that_is_asked() {
        let bare = peek(|it| it.text_bytes = 100);
        assert_eq!(input_tokens(&bare, 640, "gpt-4o-mini", Some(128_000)), bounded(740));
        let seen = peek(|it| {
            it.text_bytes = 100;
            it.images = vec![image(1_024, 1_024), ImageInput::default()];
            it.further_images = 2;
        });
        assert_eq!(input_tokens(&seen, 0, "gpt-4o", None), bounded(100 + 765 + 3 * 1_445));
        assert_eq!(input_tokens(&seen, 0, "claude-opus-5", None), bounded(100 + 1_369 + 3 * 4_784));
        assert_eq!(input_tokens(&seen, 0, "gpt-4o-mini", Some(128_000)), bounded(128_000));
    }

    #[test]
    fn a_document_with_pages_may_fill_the_context() {
        let document = peek(|it| {
            it.text_bytes = 100;
            it.paged_documents = 1;
        });
        assert_eq!(
            input_tokens(&document, 0, "claude-opus-5", Some(1_000_000)),
            bounded(1_000_000)
        );
        let unknown = Input { tokens: 100, bounded: false };
        assert_eq!(input_tokens(&document, 0, "somebodys-model", None), unknown);
    }

    #[test]
    fn the_limit_of_an_embedding_model_is_that_of_each_input() {
        let inputs = peek(|it| {
            it.text_bytes = 50_000;
            it.message_count = 3;
        });
        assert_eq!(embedded_tokens(&inputs, Some(8_191)), 3 * 8_191);
        assert_eq!(embedded_tokens(&inputs, Some(100_000)), 50_000);
        assert_eq!(embedded_tokens(&inputs, None), 50_000);
        assert!(embeds_bounded(&inputs, None));
        let seen = peek(|it| {
            it.images = vec![image(64, 64)];
            it.text_bytes = 50;
            it.message_count = 3;
        });
        assert_eq!(embedded_tokens(&seen, Some(8_191)), 3 * 8_191);
        assert!(embeds_bounded(&seen, Some(8_191)) && !embeds_bounded(&seen, None));
    }

    #[test]
    fn audio_counts() {
        let spoken = peek(|it| it.audio_bytes = 64_000);
        assert_eq!(input_tokens(&spoken, 0, "gpt-audio", None), bounded(2_000));
    }
}
