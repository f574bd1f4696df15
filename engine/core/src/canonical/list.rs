//! Entries by key, in the order in which they came.

use std::hash::{BuildHasher, BuildHasherDefault};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{KeyHasher, RowKey};

/// What a [`KeyList`] keeps: it knows its key.
pub trait Keyed {
    /// The key. It does not change while the entry is in a list.
    fn key(&self) -> RowKey;
}

/// A map by row key whose entries lie side by side, in the order in which they came.
///
/// A run asks for its rows in about the order in which it was told of them, machine by machine. Memory is then read in
/// sequence, and what is read at random are four bytes of each entry, and not all of it.
#[derive(Debug, Clone)]
pub struct KeyList<T> {
    places: HashTable<u32>,
    entries: Vec<T>,
}

impl<T> Default for KeyList<T> {
    fn default() -> Self {
        Self { places: HashTable::new(), entries: Vec::new() }
    }
}

fn hash(key: RowKey) -> u64 {
    BuildHasherDefault::<KeyHasher>::default().hash_one(key)
}

impl<T: Keyed> KeyList<T> {
    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        let entries = &self.entries;
        self.places.reserve(more, |place| hash(entries[*place as usize].key()));
        self.entries.reserve_exact(more);
    }

    /// The entries, in the order in which they came, but that the last one takes the place of one that is removed.
    pub fn entries(&self) -> &[T] {
        &self.entries
    }

    fn place(&self, key: RowKey) -> Option<usize> {
        let is_it = |place: &u32| self.entries[*place as usize].key() == key;
        self.places.find(hash(key), is_it).map(|place| *place as usize)
    }

    /// The entry of a key.
    pub fn get(&self, key: RowKey) -> Option<&T> {
        self.place(key).map(|place| &self.entries[place])
    }

    /// The entry of a key, to be changed.
    pub fn get_mut(&mut self, key: RowKey) -> Option<&mut T> {
        let place = self.place(key)?;
        Some(&mut self.entries[place])
    }

    /// Whether there is an entry of the key.
    pub fn contains(&self, key: RowKey) -> bool {
        self.place(key).is_some()
    }

    /// Adds an entry, where there is none of its key; whether it did.
    pub fn add(&mut self, entry: T) -> bool {
        let is_new = self.place_or_next(entry.key()).is_none();
        if is_new {
            self.entries.push(entry);
        }
        is_new
    }

    /// Where the entry of a key is; where there is none, the next entry is of that key from here on.
    fn place_or_next(&mut self, key: RowKey) -> Option<usize> {
        let entries = &self.entries;
        let is_it = |place: &u32| entries[*place as usize].key() == key;
        match self.places.entry(hash(key), is_it, |place| hash(entries[*place as usize].key())) {
            Entry::Occupied(known) => Some(*known.get() as usize),
            Entry::Vacant(vacant) => {
                vacant.insert(u32::try_from(entries.len()).expect("memory ends long before four billion entries"));
                None
            }
        }
    }

    /// Adds an entry, in the place of the one of its key.
    pub fn put(&mut self, entry: T) -> Option<T> {
        match self.place_or_next(entry.key()) {
            Some(place) => Some(std::mem::replace(&mut self.entries[place], entry)),
            None => {
                self.entries.push(entry);
                None
            }
        }
    }

    /// Takes the entry of a key out.
    pub fn remove(&mut self, key: RowKey) -> Option<T> {
        let entries = &self.entries;
        let found = self.places.find_entry(hash(key), |place| entries[*place as usize].key() == key).ok()?;
        let (place, _) = found.remove();
        let last = entries.len() as u32 - 1;
        if place != last {
            // It goes to where the removed one was.
            let moved = hash(entries[last as usize].key());
            *self.places.find_mut(moved, |known| *known == last).expect("every entry has a place") = place;
        }
        Some(self.entries.swap_remove(place as usize))
    }

    /// Forgets all entries; the memory of the list stays.
    pub fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
    }

    /// Takes all entries out; the memory of the list stays.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.places.clear();
        self.entries.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Keyed for (RowKey, u32) {
        fn key(&self) -> RowKey {
            self.0
        }
    }

    proptest! {
        #[test]
        fn a_list_is_a_map(acts in proptest::collection::vec((0..4_u8, 0..40_u128, any::<u32>()), 0..200)) {
            let (mut list, mut map) = (KeyList::default(), BTreeMap::new());
            for (act, key, value) in acts {
                // Keys that differ in their first half alone have the same hash.
                let key = RowKey((key % 10) | ((key / 10) << 100));
                match act {
                    0 => {
                        prop_assert_eq!(list.add((key, value)), !map.contains_key(&key));
                        map.entry(key).or_insert(value);
                    }
                    1 => prop_assert_eq!(list.remove(key), map.remove(&key).map(|value| (key, value))),
                    2 => prop_assert_eq!(list.put((key, value)), map.insert(key, value).map(|value| (key, value))),
                    _ => {
                        if let Some((_, known)) = list.get_mut(key) {
                            *known = value;
                        }
                        map.entry(key).and_modify(|known| *known = value);
                    }
                }
                prop_assert_eq!(list.get(key).map(|(_, value)| value), map.get(&key));
                prop_assert_eq!(list.contains(key), map.contains_key(&key));
            }
            let entries: BTreeMap<RowKey, u32> = list.entries().iter().copied().collect();
            prop_assert_eq!(entries.len(), list.entries().len());
            prop_assert_eq!(&entries, &map);
            prop_assert_eq!(list.drain().count(), map.len());
            prop_assert!(map.keys().all(|key| !list.contains(*key)));
        }
    }
}
