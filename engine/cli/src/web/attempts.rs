//! How often somebody may be wrong about the token, by where they come from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens from one address, after which it is not listened to for a while.
pub(super) const ATTEMPTS_MAX: u32 = 10;
/// How long an address is not listened to, and how long its wrong tokens count.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Addresses that are remembered; whoever has been wrong longest ago is forgotten first.
const ADDRESSES_MAX: usize = 1024;
/// Bits of an IPv6 address that are the network's: whoever has one of its addresses has all of them.
const NETWORK_BITS: u32 = 64;

/// Who was wrong, and how often.
#[derive(Default)]
pub(super) struct Attempts(Mutex<BTreeMap<IpAddr, Wrong>>);

#[derive(Clone, Copy)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Attempts {
    /// How long an address is not listened to any more; `None` where it is.
    pub(super) fn refused_for(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = wrong.get(&origin(address)).filter(|wrong| wrong.count >= ATTEMPTS_MAX)?;
        wrong.left(now)
    }

    /// An address was wrong. Gives whether it is not listened to from now on.
    pub(super) fn was_wrong(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin(address);
        all.retain(|_, wrong| wrong.left(now).is_some());
        if all.len() >= ADDRESSES_MAX
            && !all.contains_key(&origin)
            && let Some(oldest) = all.iter().min_by_key(|(_, wrong)| wrong.last).map(|(origin, _)| *origin)
        {
            all.remove(&oldest);
        }
        let wrong = all.entry(origin).or_insert(Wrong { count: 0, last: now });
        *wrong = Wrong { count: wrong.count.saturating_add(1), last: now };
        wrong.count == ATTEMPTS_MAX
    }

    /// An address knew the token: what it got wrong before is forgotten.
    pub(super) fn was_right(&self, address: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&origin(address));
    }
}

impl Wrong {
    fn left(self, now: Instant) -> Option<Duration> {
        let left = FORGOTTEN_AFTER.checked_sub(now.saturating_duration_since(self.last))?;
        (!left.is_zero()).then_some(left)
    }
}

/// Whose address it is: of IPv6, the network.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> NETWORK_BITS << NETWORK_BITS).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_that_is_wrong_too_often_is_not_listened_to_for_a_minute() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let (bad, good) = (address("10.0.0.7"), address("10.0.0.8"));
        for number in 1..=ATTEMPTS_MAX {
            assert_eq!(attempts.refused_for(bad, begin), None, "{number}");
            assert_eq!(attempts.was_wrong(bad, begin), number == ATTEMPTS_MAX);
        }
        assert_eq!(attempts.refused_for(bad, begin), Some(FORGOTTEN_AFTER));
        assert_eq!(attempts.refused_for(good, begin), None);
        let later = begin + FORGOTTEN_AFTER;
        assert_eq!(attempts.refused_for(bad, later), None);
        assert!(!attempts.was_wrong(bad, later), "it has as many attempts again");
    }

    #[test]
    fn whoever_is_right_begins_anew() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let operator = address("10.0.0.7");
        for _ in 0..ATTEMPTS_MAX * 3 {
            attempts.was_wrong(operator, now);
            attempts.was_right(operator);
        }
        assert_eq!(attempts.refused_for(operator, now), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_ipv4_is_itself_in_either_form() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for number in 0..ATTEMPTS_MAX {
            attempts.was_wrong(address(&format!("2001:db8:1:2::{number}")), now);
            attempts.was_wrong(address("::ffff:10.0.0.7"), now);
        }
        assert!(attempts.refused_for(address("2001:db8:1:2:ffff::1"), now).is_some());
        assert!(attempts.refused_for(address("2001:db8:1:3::1"), now).is_none());
        assert!(attempts.refused_for(address("10.0.0.7"), now).is_some());
        assert!(attempts.refused_for(address("10.0.0.8"), now).is_none());
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let (attempts, begin) = (Attempts::default(), Instant::now());
        let of = |number: usize| address(&format!("10.0.{}.{}", number / 256, number % 256));
        for number in 0..ADDRESSES_MAX + 5 {
            attempts.was_wrong(of(number), begin + Duration::from_micros(number as u64));
        }
        let known = attempts.0.lock().expect("nobody panicked");
        assert_eq!(known.len(), ADDRESSES_MAX);
        assert!(!known.contains_key(&of(4)) && known.contains_key(&of(5)));
    }
}
