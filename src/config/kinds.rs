//! Tables whose keys depend on their kind.
//!
//! The rule: a key belongs to the kind in effect in its layer, which is the one the layer names or else that
//! of the layers below. When a higher layer names another kind, keys of the old one are set aside; nothing
//! of them is left to make the table invalid. The same kind named again keeps them.
//!
//! It is kept by filing every key below its kind before layers are united, so that uniting stays a plain
//! deep merge, and by taking out the final kind's keys afterwards.

use std::collections::BTreeMap;

use super::document::Node;
use super::shape::Shape;

/// The kind in effect: the layer's own, or that of the filed layers below it.
pub(super) fn kind<'a>(layer: &'a Node, tag: &str, below: Option<&'a Node>) -> Option<&'a str> {
    let own = layer.get(tag).or_else(|| below?.get(tag));
    own.and_then(Node::as_str)
}

/// The part of a filed table that holds the keys of a kind.
pub(super) fn filed<'a>(below: Option<&'a Node>, kind: &str) -> Option<&'a Node> {
    below?.get(&drawer(kind))
}

/// No key of ours has a space.
fn drawer(kind: &str) -> String {
    format!("kind {kind}")
}

/// Files the keys of a checked layer; `below` is what was filed before.
pub(super) fn file(layer: Node, shape: &Shape, below: Option<&Node>) -> Node {
    let Node::Table { entries, origin } = layer else { return layer };
    match shape {
        Shape::Table(fields) => {
            let filed = entries.into_iter().map(|(key, node)| {
                let node = match fields.get(&key) {
                    Some(field) => file(node, &field.shape, below.and_then(|below| below.get(&key))),
                    None => node,
                };
                (key, node)
            });
            Node::Table { entries: filed.collect(), origin }
        }
        Shape::Kinds { tag, kinds } => {
            let layer = Node::Table { entries, origin };
            let Some(kind) = kind(&layer, tag, below).map(str::to_owned) else { return layer };
            let Node::Table { mut entries, origin } = layer else { return layer };
            let mut outer = BTreeMap::new();
            outer.extend(entries.remove(tag).map(|node| (tag.clone(), node)));
            if !entries.is_empty() {
                let keys = Node::Table { entries, origin: origin.clone() };
                let keys = match kinds.get(&kind) {
                    Some(fields) => file(keys, &Shape::Table(fields.clone()), filed(below, &kind)),
                    None => keys,
                };
                outer.insert(drawer(&kind), keys);
            }
            Node::Table { entries: outer, origin }
        }
        _ => Node::Table { entries, origin },
    }
}

/// The final document of filed layers.
pub(super) fn settle(filed: Node, shape: &Shape) -> Node {
    let Node::Table { mut entries, origin } = filed else { return filed };
    match shape {
        Shape::Table(fields) => {
            let settled = entries.into_iter().map(|(key, node)| {
                let node = match fields.get(&key) {
                    Some(field) => settle(node, &field.shape),
                    None => node,
                };
                (key, node)
            });
            Node::Table { entries: settled.collect(), origin }
        }
        Shape::Kinds { tag, kinds } => {
            let kind = entries.get(tag).and_then(Node::as_str).map(str::to_owned);
            let keys = kind.as_ref().and_then(|kind| entries.remove(&drawer(kind)));
            let fields = kind.and_then(|kind| kinds.get(&kind).cloned());
            let mut settled = match keys.map(|keys| settle(keys, &Shape::Table(fields.unwrap_or_default()))) {
                Some(Node::Table { entries, .. }) => entries,
                _ => BTreeMap::new(),
            };
            settled.extend(entries.remove(tag).map(|node| (tag.clone(), node)));
            Node::Table { entries: settled, origin }
        }
        _ => Node::Table { entries, origin },
    }
}
