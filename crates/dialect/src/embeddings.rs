//! `/v1/embeddings`: what is typed of it, and its usage.
