//! The command as its users meet it.

#[cfg(test)]
mod command;
