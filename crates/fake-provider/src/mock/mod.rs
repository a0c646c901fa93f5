//! stub
#[derive(Debug)]
pub struct Mock;
#[derive(Debug)]
pub struct MockOptions;
