//! The command as its users meet it.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod command;
#[cfg(test)]
mod complete;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod exits;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod place;
#[cfg(test)]
mod start;
