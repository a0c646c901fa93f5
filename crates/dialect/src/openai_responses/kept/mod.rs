//! Responses that a gateway keeps so that later ones build on them (`previous_response_id`): what a request says of it,
//! the request whole again, and what an answer says of itself.
//!
//! Nothing is parsed into a tree: members of the client's and the provider's JSON are cut out and put in where they stand,
//! and every other byte stays.

mod items;
mod packed;
mod request;
mod response;
mod stream;

pub use items::{Page, PageError, list};
pub use packed::{Packed, pack};
pub use request::{Asked, Turn, Whole, without};
pub use response::{Told, id_of, output_of, state};
pub use stream::Keeper;

#[cfg(test)]
mod tests;
