//! Specs that come from elsewhere: what a bundle of them is, and what new specs have to show before they are trusted.
//!
//! Everything here is a function of what it is given. Pulling, signatures and files are the business of the program.

pub mod manifest;
pub mod tar;
pub mod trial;
