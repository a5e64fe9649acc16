//! One shared value per key, for as long as somebody holds it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values by key. Clones share them.
#[derive(Debug)]
pub struct Keyed<K, V> {
    held: Arc<Mutex<HashMap<K, Weak<V>>>>,
}

impl<K, V> Clone for Keyed<K, V> {
    fn clone(&self) -> Self {
        Self { held: Arc::clone(&self.held) }
    }
}

impl<K, V> Default for Keyed<K, V> {
    fn default() -> Self {
        Self { held: Arc::default() }
    }
}

impl<K: Eq + Hash, V: Default> Keyed<K, V> {
    /// The value of `key`, a new one if nobody holds it.
    pub fn get(&self, key: K) -> Arc<V> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, value| value.strong_count() > 0);
        let slot = held.entry(key).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let value = Arc::default();
            *slot = Arc::downgrade(&value);
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lives_as_long_as_it_is_held() {
        let keyed: Keyed<u8, Mutex<u8>> = Keyed::default();
        let first = keyed.get(1);
        *first.lock().unwrap() = 7;
        assert_eq!((*keyed.get(1).lock().unwrap(), *keyed.get(2).lock().unwrap()), (7, 0));
        drop(first);
        assert_eq!(*keyed.get(1).lock().unwrap(), 0);
    }
}
