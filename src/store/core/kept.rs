//! Values that resources keep with the handle on the database, such as shared group reads: one of each type.
//!
//! The handle lies below the resources and knows none of their types.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
};

/// Map with one value per type.
#[derive(Default)]
pub struct Kept(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Kept {
    /// Adds this value, replacing another of its type.
    pub fn with<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
        self
    }

    /// Returns the value of a type; panics if none was added at startup.
    pub fn get<T: Any + Send + Sync>(&self) -> &T {
        let kept = self.0.get(&TypeId::of::<T>());
        kept.and_then(|value| value.downcast_ref())
            .unwrap_or_else(|| unreachable!("no {} is kept", type_name::<T>()))
    }
}
