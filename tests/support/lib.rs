//! What the tests of the whole share: real servers, stand-ins for servers, the contracts they check, and the built
//! programs with folders to run them in.

pub mod api;
pub mod binary;
pub mod canary;
pub mod certificates;
pub mod clients;
pub mod collector;
pub mod contract;
pub mod dialects;
pub mod forge;
pub mod golden;
pub mod manager;
pub mod peer;
pub mod plant;
pub mod platform;
pub mod powerloss;
pub mod program;
pub mod promises;
pub mod proxy;
pub mod raw;
pub mod seed;
pub mod servers;
pub mod sources;
pub mod standins;
pub mod suite;
pub mod terminal;
