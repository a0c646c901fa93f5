//! What an image costs in tokens: each vendor's own rule, as data.

use std::borrow::Cow;

use domain::{ImageDetail, ImageInput};

use crate::names::longest_prefix;
use crate::{Fact, Grade};

const TABLE: &str = include_str!("../data/vision.csv");

/// Squares of a tile rule are of so many pixels.
const TILE: u64 = 512;
/// A tile rule first fits an image into a square of so many pixels.
const TILED_LONG: u64 = 2_048;
/// Then it takes the shorter side down to so many.
const TILED_SHORT: u64 = 768;

/// How a model's vendor counts the tokens of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRule {
    /// Squares of 512 pixels of the image, scaled down into 2048 x 2048 and its shorter side to 768.
    Tiles {
        /// Tokens of any image, and of one in low detail.
        base: u64,
        /// More tokens for each square.
        tile: u64,
    },
    /// Small squares that cover the image, scaled down into a number of them.
    Patches {
        /// Their side in pixels.
        side: u64,
        /// Tokens of a thousand of them.
        thousandths: u64,
        /// Tokens of the smallest image.
        least: u64,
        /// For [`ImageDetail::Auto`], [`ImageDetail::Low`], [`ImageDetail::High`] and [`ImageDetail::Original`].
        limits: [PatchLimit; 4],
    },
}

/// What an image is scaled down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchLimit {
    /// Most patches.
    pub patches: u64,
    /// Longest side in pixels.
    pub pixels: u64,
}

/// The rule of a model, whoever serves it. Every model has one: what nobody has published is bounded from above.
pub fn image_rule(model: &str) -> Option<Fact<ImageRule>> {
    let [rule, source, date, grade] = longest_prefix(TABLE, model)?;
    Some(Fact {
        value: read(rule)?,
        source: Cow::Borrowed(source),
        date: Cow::Borrowed(date),
        grade: Grade::parse(grade)?,
    })
}

fn read(rule: &str) -> Option<ImageRule> {
    let mut words = rule.split(' ');
    let kind = words.next()?;
    let words: Vec<(&str, &str)> = words.filter_map(|word| word.split_once('=')).collect();
    let text = |name: &str| words.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let number = |name: &str| text(name)?.parse::<u64>().ok();
    let limit = |name: &str| {
        let (patches, pixels) = text(name).or_else(|| text("all"))?.split_once('/')?;
        Some(PatchLimit { patches: patches.parse().ok()?, pixels: pixels.parse().ok()? })
    };
    match kind {
        "tiles" => Some(ImageRule::Tiles { base: number("base")?, tile: number("tile")? }),
        "patches" => Some(ImageRule::Patches {
            side: number("side").filter(|side| *side > 0)?,
            thousandths: number("thousandths")?,
            least: number("least").unwrap_or(0),
            limits: [limit("auto")?, limit("low")?, limit("high")?, limit("original")?],
        }),
        _ => None,
    }
}

impl ImageRule {
    /// The most tokens that the image can cost: the vendor's count, or above it where the vendor's own roundings are
    /// not known. An image whose size is not known is as large as there are any.
    pub fn most_tokens(&self, image: ImageInput) -> u64 {
        match *self {
            Self::Tiles { base, .. } if image.detail == ImageDetail::Low => base,
            Self::Tiles { base, tile } => base + tile * tiles(image.size),
            Self::Patches { side, thousandths, least, limits } => {
                let [auto, low, high, original] = limits;
                let limit = match image.detail {
                    ImageDetail::Auto => auto,
                    ImageDetail::Low => low,
                    ImageDetail::High => high,
                    ImageDetail::Original => original,
                };
                let patches = image.size.map_or(limit.patches, |size| {
                    let (width, height) = fit(size, limit.pixels);
                    (width.div_ceil(side) * height.div_ceil(side)).min(limit.patches)
                });
                // OpenAI: the final count may be one off the estimate.
                let off = u64::from(thousandths % 1_000 > 0);
                ((patches * thousandths).div_ceil(1_000) + off).max(least)
            }
        }
    }
}

/// Scaled down, in proportion, to sides of at most `most` pixels. Rounded up: vendors round in either direction.
fn fit((width, height): (u32, u32), most: u64) -> (u64, u64) {
    let (width, height) = (u64::from(width), u64::from(height));
    let long = width.max(height);
    if long <= most {
        return (width, height);
    }
    let scaled = |side: u64| (side * most).div_ceil(long);
    (scaled(width), scaled(height))
}

fn tiles(size: Option<(u32, u32)>) -> u64 {
    let Some((width, height)) = size.map(|(width, height)| (u64::from(width), u64::from(height)))
    else {
        return TILED_LONG.div_ceil(TILE) * TILED_SHORT.div_ceil(TILE);
    };
    let (mut long, mut short) = (width.max(height), width.min(height));
    let mut rounded_down = short;
    if long > TILED_LONG {
        rounded_down = short * TILED_LONG / long;
        short = (short * TILED_LONG).div_ceil(long);
        long = TILED_LONG;
    }
    // The smaller the shorter side came out, the less is the longer one scaled down with it.
    let long = (long * TILED_SHORT).div_ceil(rounded_down.max(TILED_SHORT));
    long.div_ceil(TILE) * short.min(TILED_SHORT).div_ceil(TILE)
}
