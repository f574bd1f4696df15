//! Crashes: the engine, its source, its platform, its disk and its network fail at every moment of the work.
//!
//! Whatever was cut off, the destination's final state equals that of an undisturbed run, nothing is sent twice once it
//! is settled, and the state is sound.

mod backfill;
mod brake;
mod cuts;
mod full;
mod kills;
mod ledger;
mod network;
mod powerloss;
mod site;
mod stops;
