//! A list whose copies share their items until one of them changes.
//!
//! An episode is copied and stored after every event, and nearly all of it is as it was: what is shared is
//! neither copied nor compared nor written again.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A growing list that is cheap to copy. In files it is a plain list.
#[derive(Debug)]
pub struct Shared<T>(Vec<Arc<T>>);

impl<T> Shared<T> {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The item at a position.
    pub fn get(&self, position: usize) -> Option<&T> {
        self.0.get(position).map(AsRef::as_ref)
    }

    /// The first item.
    pub fn first(&self) -> Option<&T> {
        self.get(0)
    }

    /// The last item.
    pub fn last(&self) -> Option<&T> {
        self.0.last().map(AsRef::as_ref)
    }

    /// The items in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator + Clone {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: impl Into<Arc<T>>) {
        self.0.push(item.into());
    }

    /// Keeps the first items.
    pub fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// The items from `from` to before `to`, as far as there are any, still shared.
    pub fn part(&self, from: usize, to: usize) -> &[Arc<T>] {
        let to = to.min(self.0.len());
        &self.0[from.min(to)..to]
    }
}

impl<T: PartialEq> Shared<T> {
    /// How many items from the start on are the same as in `other`. Shared items are not looked at.
    pub fn same_start(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).take_while(|(a, b)| equal(a, b)).count()
    }

    /// Whether the items from `from` to before `to` are the same in both.
    pub fn same_part(&self, other: &Self, from: usize, to: usize) -> bool {
        let (ours, others) = (self.part(from, to), other.part(from, to));
        ours.len() == others.len() && ours.iter().zip(others).all(|(a, b)| equal(a, b))
    }
}

impl<T: Clone> Shared<T> {
    /// The item at a position, to be changed.
    pub fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        self.0.get_mut(position).map(Arc::make_mut)
    }

    /// The last item, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut().map(Arc::make_mut)
    }

    /// Changes every item that `wanted` says yes to; the others stay shared.
    pub fn change(&mut self, wanted: impl Fn(&T) -> bool, mut change: impl FnMut(&mut T)) {
        self.0.iter_mut().filter(|item| wanted(item)).for_each(|item| change(Arc::make_mut(item)));
    }
}

fn equal<T: PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.same_start(other) == self.0.len()
    }
}

impl<T> std::ops::Index<usize> for Shared<T> {
    type Output = T;

    fn index(&self, position: usize) -> &T {
        &self.0[position]
    }
}

impl<T: Clone> std::ops::IndexMut<usize> for Shared<T> {
    fn index_mut(&mut self, position: usize) -> &mut T {
        Arc::make_mut(&mut self.0[position])
    }
}

/// Turns a shared item into what it is.
type Unshare<'a, T> = fn(&'a Arc<T>) -> &'a T;

impl<'a, T> IntoIterator for &'a Shared<T> {
    type Item = &'a T;
    type IntoIter = std::iter::Map<std::slice::Iter<'a, Arc<T>>, Unshare<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<T, I: Into<Arc<T>>> FromIterator<I> for Shared<T> {
    fn from_iter<F: IntoIterator<Item = I>>(items: F) -> Self {
        Self(items.into_iter().map(Into::into).collect())
    }
}

impl<T, I: Into<Arc<T>>> Extend<I> for Shared<T> {
    fn extend<F: IntoIterator<Item = I>>(&mut self, items: F) {
        self.0.extend(items.into_iter().map(Into::into));
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<T>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_what_was_not_changed() {
        let list: Shared<u32> = (0..5).collect();
        let mut copy = list.clone();
        copy[3] = 9;
        copy.push(5);
        assert_eq!((list.iter().copied().collect::<Vec<_>>(), copy.len()), (vec![0, 1, 2, 3, 4], 6));
        assert!((0..3).all(|n| Arc::ptr_eq(&list.0[n], &copy.0[n])));
        assert_eq!(copy.same_start(&list), 3);
        assert!(copy.same_part(&list, 4, 5) && !copy.same_part(&list, 3, 5) && !copy.same_part(&list, 4, 6));
        copy.change(|n| *n == 9, |n| *n = 3);
        copy.truncate(5);
        assert_eq!(copy, list);
        let text = serde_json::to_string(&copy).unwrap();
        assert_eq!(
            (text.as_str(), serde_json::from_str::<Shared<u32>>(&text).unwrap()),
            ("[0,1,2,3,4]", copy)
        );
    }
}
