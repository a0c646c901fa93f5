//! The table of what each dialect can carry.
