//! Laws of uniting layers, and bytes from anywhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use proptest::prelude::*;
use toml::Value;

use super::checked;
use crate::config::document::Node;
use crate::config::schema::shape;
use crate::config::{Origin, Sources, environment, flags, kinds, resolve};

/// Documents that agree on which paths are tables: values at up to six places of two levels.
fn document(name: &'static str) -> impl Strategy<Value = BTreeMap<(usize, usize), (i64, Origin)>> {
    let origin = Origin::Variable(Arc::from(name));
    prop::collection::btree_map((0_usize..3, 0_usize..3), any::<i64>(), 0..6)
        .prop_map(move |values| values.into_iter().map(|(at, n)| (at, (n, origin.clone()))).collect())
}

fn path((section, key): (usize, usize)) -> Vec<String> {
    // Section 0 is the root.
    let section = (section > 0).then(|| format!("section{section}"));
    section.into_iter().chain([format!("key{key}")]).collect()
}

fn node(values: &BTreeMap<(usize, usize), (i64, Origin)>) -> Node {
    let leaves = values.iter().map(|(at, (n, origin))| Node::single(&path(*at), Value::Integer(*n), origin));
    leaves.fold(Node::empty(Origin::BuiltIn), Node::below)
}

/// A layer of a task with a kind of its own, or none, and keys that fit the kind in effect.
fn task_layer() -> impl Strategy<Value = (Option<bool>, Option<u32>)> {
    (prop::option::of(any::<bool>()), prop::option::of(0_u32..9))
}

proptest! {
    #[test]
    fn uniting_is_associative(a in document("a"), b in document("b"), c in document("c")) {
        let (a, b, c) = (node(&a), node(&b), node(&c));
        prop_assert_eq!(a.clone().below(b.clone()).below(c.clone()), a.below(b.below(c)));
    }

    #[test]
    fn a_value_is_that_of_the_highest_layer_that_set_it(
        layers in (document("a"), document("b"), document("c"))
    ) {
        let layers = [layers.0, layers.1, layers.2];
        let united = layers.iter().map(node).fold(Node::empty(Origin::BuiltIn), Node::below);
        let mut expected = BTreeMap::new();
        expected.extend(layers.into_iter().flatten());
        for (at, (n, origin)) in expected {
            let keys = path(at);
            let found = united.at(keys.iter().map(String::as_str)).unwrap();
            prop_assert_eq!((found.value(), found.origin()), (Value::Integer(n), &origin));
        }
    }

    /// The rule of kinds, said a second way: going up, a layer's key counts if its kind is the final one.
    #[test]
    fn keys_count_where_their_kind_is_the_final_one(layers in prop::collection::vec(task_layer(), 1..6)) {
        let word = |scripted: bool| if scripted { "scripted" } else { "arithmetic" };
        let key = |scripted: bool| if scripted { "skills" } else { "test_per_skill" };
        let start = Node::single(&["task".into(), "kind".into()], Value::String("arithmetic".into()), &Origin::BuiltIn);
        let mut filed = kinds::file(start, shape(), None);
        let (mut kind, mut set) = (false, BTreeMap::new());
        for (own, n) in layers {
            kind = own.unwrap_or(kind);
            let mut table = toml::Table::new();
            table.extend(own.map(|own| ("kind".to_owned(), Value::String(word(own).to_owned()))));
            if let Some(n) = n {
                table.insert(key(kind).to_owned(), Value::Integer(n.into()));
                set.insert(kind, n);
            }
            let layer = Node::single(&["task".into()], Value::Table(table), &Origin::BuiltIn);
            let layer = kinds::file(layer, shape(), Some(&filed));
            filed = filed.below(layer);
        }
        let mut expected = toml::Table::from_iter([("kind".to_owned(), Value::String(word(kind).to_owned()))]);
        expected.extend(set.get(&kind).map(|n| (key(kind).to_owned(), Value::Integer((*n).into()))));
        let settled = kinds::settle(filed, shape());
        prop_assert_eq!(settled.get("task").unwrap().value(), Value::Table(expected));
    }

    #[test]
    fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = checked(&String::from_utf8_lossy(&bytes));
    }

    /// Texts that look more like TOML reach deeper.
    #[test]
    fn no_text_panics(text in "([a-z_]{1,9}|task|kind|policy| = |\\[|\\]|\\{|\\}|\"|\\.|\n|é|[0-9]{1,20}|,|'){0,40}") {
        if let Err(error) = checked(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn no_variable_and_no_flag_panics(
        name in prop::collection::vec(any::<u8>(), 0..20),
        value in prop::collection::vec(any::<u8>(), 0..40),
        set in "([a-z]{1,6}|task|\\.|=|\"| |\n|é|[0-9]|\\{|\\}|\\[){0,20}",
    ) {
        let name = [b"DATAENVGYM_".as_slice(), &name].concat();
        let variables = [(OsString::from_vec(name), OsString::from_vec(value))];
        let _ = environment::layer(&variables, shape());
        let _ = flags::layer(std::slice::from_ref(&set), &[], shape());
        let _ = resolve(&Sources { environment: variables.to_vec(), set: vec![set], ..Sources::default() });
    }
}

/// Nesting is bounded by the reader.
#[test]
fn deep_nesting_is_an_error() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "a.".repeat(100_000) + "a = 1",
    ] {
        assert!(checked(&text).is_err());
    }
}
