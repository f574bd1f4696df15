//! What the tests of the whole share: real servers, stand-ins for servers, and the contracts they check.

pub mod contract;
pub mod platform;
pub mod servers;
