//! The configuration as its users meet it: the files of `examples/`, the messages, the typos.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod facts;
mod oci;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod surroundings;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod typos;
