//! Damaged folders: each fault is found, named and placed.
#![cfg(test)]
