//! admit: the worst case of an attempt, reserved before anything is sent.

use catalog::{Mode, PriceSheet};
use domain::{Endpoint, Money, MoneyError, Price, RequestLimits, UnixMicros, WorstCase};

use crate::read::Ask;
use crate::resolve::Resolved;
use crate::snapshot::Offer;

/// Upper bound of the tokens of one image at any provider here: OpenAI's high-detail tiles and Anthropic's
/// full-resolution images stay below it (their documentation on vision, November 2026).
const IMAGE_TOKENS_MAX: u64 = 5_000;
/// Encoded bytes of a document that make at most one token: text and page images of a PDF together.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 2;

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

/// Bounds an attempt at `offer`. An amount beyond what a row can hold is an error: such an attempt is refused.
pub fn bound(
    ask: &Ask,
    resolved: &Resolved,
    offer: &Offer,
    default_max_output: Option<u64>,
    now: UnixMicros,
) -> Result<Bound, MoneyError> {
    let tokens = match ask.endpoint {
        Endpoint::Chat => chat_tokens(ask, resolved, offer, default_max_output),
        Endpoint::Embeddings => WorstCase { input: input_tokens(ask, offer), output: Some(0) },
        // Counting is free at every provider that offers it.
        Endpoint::CountTokens | Endpoint::Models => WorstCase { input: 0, output: Some(0) },
    };
    let sheet = offer.price_at(now);
    let span =
        (now, now.plus_micros(i64::try_from(offer.provider.total.as_micros()).unwrap_or(i64::MAX)));
    let money = match (&offer.prices, sheet) {
        // The price applies at completion: the dearest that may hold by then counts.
        (Some(prices), Some(sheet)) => {
            let bounded = prices.worst_case(span, Mode::Standard, &tokens, ask.peek.features)?;
            bounded.or_else(|| free(sheet).then_some(Money::ZERO))
        }
        _ if tokens == (WorstCase { input: 0, output: Some(0) }) => Some(Money::ZERO),
        _ => None,
    };
    Ok(Bound { tokens, money, price_version: sheet.map(version) })
}

/// Whether the most that an attempt at `offer` can cost is known; `max_output` is the bound that the request, its
/// capability or the configuration sets.
pub fn is_known(
    endpoint: Endpoint,
    max_output: Option<u64>,
    offer: &Offer,
    now: UnixMicros,
) -> bool {
    let bounded = max_output.or(offer.max_output).is_some();
    match endpoint {
        Endpoint::Chat => offer.price_at(now).is_some_and(|sheet| bounded || free(sheet)),
        Endpoint::Embeddings => offer.price_at(now).is_some(),
        Endpoint::CountTokens | Endpoint::Models => true,
    }
}

/// Whether nothing costs anything, so that no bound is needed.
fn free(sheet: &PriceSheet) -> bool {
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

fn chat_tokens(
    ask: &Ask,
    resolved: &Resolved,
    offer: &Offer,
    default_max_output: Option<u64>,
) -> WorstCase {
    let RequestLimits { max_output, answers } = ask.peek.limits;
    let answers = u64::from(answers.max(1));
    let output = max_output.or(resolved.max_output).or(offer.max_output).or(default_max_output);
    WorstCase {
        input: input_tokens(ask, offer).saturating_mul(answers),
        output: output.map(|tokens| tokens.saturating_mul(answers)),
    }
}

/// No byte-level tokenizer makes more tokens than there are bytes of text; no model takes more than its context.
fn input_tokens(ask: &Ask, offer: &Offer) -> u64 {
    let peek = &ask.peek;
    let images = u64::from(peek.images).saturating_mul(IMAGE_TOKENS_MAX);
    let documents =
        if peek.documents > 0 { peek.media_bytes / DOCUMENT_BYTES_PER_TOKEN } else { 0 };
    let all = peek.text_bytes.saturating_add(images).saturating_add(documents);
    offer.max_input.map_or(all, |most| all.min(most))
}
