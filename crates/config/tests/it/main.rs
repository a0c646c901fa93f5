//! The configuration as its users meet it: the files of `examples/`, the messages, the typos.

mod examples;
mod facts;
mod origins;
mod surroundings;
mod typos;
