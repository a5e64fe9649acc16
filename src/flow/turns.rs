//! One at a time: a turn for each thing that two callers must not work on at once, by name.
//!
//! Within this process only: with several servers over one catalogue the catalogue itself has to give turns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

type Slots = HashMap<(String, String), Weak<tokio::sync::Mutex<()>>>;

/// See the module's documentation. Clones share the turns.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    slots: Arc<Mutex<Slots>>,
}

impl Turns {
    /// Waits for the turn on `name` in `namespace`; it lasts until the guard is dropped.
    pub async fn take(&self, namespace: &str, name: &str) -> OwnedMutexGuard<()> {
        self.slot(namespace, name).lock_owned().await
    }

    fn slot(&self, namespace: &str, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.strong_count() > 0);
        let slot = slots.entry((namespace.to_owned(), name.to_owned())).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let turn = Arc::default();
            *slot = Arc::downgrade(&turn);
            turn
        })
    }
}
