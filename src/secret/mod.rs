//! Values that must not be shown: their own type, and masks for every text a person or a log may see.

mod jwt;
mod known;
mod shape;
mod url;

pub use known::{
    MASK, Secret, forget, is_harmless_header, is_sensitive_header, mask, mask_foreign,
};
pub use shape::{is_key, mask_tokens};
pub use url::{url_for_people, url_without_query};
