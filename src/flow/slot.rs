//! One engine that can be exchanged while others use it.

use std::sync::{Arc, PoisonError, RwLock};

/// Holds what is in use now. Who took it keeps it to the end of what it is doing.
#[derive(Debug)]
pub struct Slot<T> {
    held: RwLock<Arc<T>>,
}

impl<T> Slot<T> {
    /// Holding `value`.
    pub fn new(value: T) -> Self {
        Self { held: RwLock::new(Arc::new(value)) }
    }

    /// What is in use now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `value` in its place and gives what was there.
    pub fn replace(&self, value: Arc<T>) -> Arc<T> {
        std::mem::replace(&mut *self.held.write().unwrap_or_else(PoisonError::into_inner), value)
    }

    /// Whether `value` is the one in use.
    pub fn holds(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.held.read().unwrap_or_else(PoisonError::into_inner), value)
    }
}
