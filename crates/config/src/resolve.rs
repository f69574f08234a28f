//! A policy with the defaults that it starts from.

use foldhash::{HashSet, HashSetExt};
use libcors_policy::PolicyBuilder;

use crate::{
    origins::Origin,
    reader::{Field, Item},
    regex,
    settings::{Flag, OriginEntry, PolicyTable},
};

/// A policy, and the defaults that it starts from.
#[derive(Clone, Copy)]
pub(crate) struct ResolvedPolicy<'l> {
    pub(crate) policy: &'l PolicyTable<'l>,
    defaults: Option<&'l PolicyTable<'l>>,
}

/// The value of a key, and the table that has it.
pub(crate) struct Setting<'l, T> {
    pub(crate) table: &'l PolicyTable<'l>,
    pub(crate) field: &'l Field<T>,
}

impl<'l, T> Setting<'l, Vec<Item<T>>> {
    pub(crate) fn items(&self) -> &'l [Item<T>] {
        &self.field.value
    }
}

/// A key of a table.
type Key<'l, T> = fn(&'l PolicyTable<'l>) -> &'l Option<Field<T>>;

impl<'l> ResolvedPolicy<'l> {
    pub(crate) fn new(
        policy: &'l PolicyTable<'l>,
        defaults: Option<&'l PolicyTable<'l>>,
    ) -> ResolvedPolicy<'l> {
        ResolvedPolicy { policy, defaults }
    }

    /// The value of a key: the policy's, else that of the defaults.
    pub(crate) fn find<T>(&self, key: Key<'l, T>) -> Option<Setting<'l, T>> {
        let tables = [Some(self.policy), self.defaults];
        tables.into_iter().flatten().find_map(|table| {
            let field = key(table).as_ref()?;
            Some(Setting { table, field })
        })
    }

    /// The value of a key if it is this one.
    pub(crate) fn find_value<T: Copy + PartialEq>(
        &self,
        key: Key<'l, Option<T>>,
        value: T,
    ) -> Option<Setting<'l, Option<T>>> {
        self.find(key).filter(|setting| setting.field.value == Some(value))
    }

    pub(crate) fn list<T>(&self, key: Key<'l, Vec<Item<T>>>) -> &'l [Item<T>] {
        self.find(key).map_or(&[], |setting| setting.items())
    }

    pub(crate) fn has_flag(&self, flag: Flag) -> bool {
        let flags = self.list(|table| &table.dangerously_allow);
        flags.iter().any(|item| item.value == flag)
    }

    /// How many entries the lists have together.
    pub(crate) fn entries(&self) -> usize {
        self.list(|table| &table.allow_origins).len()
            + self.list(|table| &table.allow_methods).len()
            + self.list(|table| &table.allow_headers).len()
            + self.list(|table| &table.expose_headers).len()
            + self.list(|table| &table.self_origins).len()
    }

    /// The list of allowed origins.
    pub(crate) fn origins(&self) -> Vec<OriginEntry> {
        let origins = self.list(|table| &table.allow_origins).iter();
        origins.map(|item| OriginEntry::from(&item.value)).collect()
    }

    /// Adds the allowed origins to a policy.
    pub(crate) fn build_origins(
        &self,
        builder: PolicyBuilder,
    ) -> PolicyBuilder {
        let mut expressions = Vec::new();
        let origins = self.list(|table| &table.allow_origins).iter();
        let builder =
            origins.fold(builder, |builder, item| match &item.value {
                Origin::Exact(origin) => builder.allow_exact_origin(origin),
                Origin::Pattern(pattern) => {
                    builder.allow_origin(pattern.clone())
                }
                Origin::Network { network, .. } => {
                    builder.allow_network(*network)
                }
                Origin::Expression { compiled, .. } => {
                    expressions.push(compiled.clone());
                    builder.allow_expression(Box::new(compiled.clone()))
                }
            });
        match regex::union(&expressions) {
            Some(union) => builder.expression_set(Box::new(union)),
            None => builder,
        }
    }

    // How the table of settings resolves its keys; each takes the default.

    /// A value that is resolved elsewhere.
    pub(crate) fn omitted<T, S>(&self, _: Key<'l, T>, default: S) -> S {
        default
    }

    /// The value of a key.
    pub(crate) fn value<T: Copy>(
        &self,
        key: Key<'l, Option<T>>,
        default: T,
    ) -> T {
        self.optional(key, None).unwrap_or(default)
    }

    /// The value of a key that may have none.
    pub(crate) fn optional<T: Copy>(
        &self,
        key: Key<'l, Option<T>>,
        default: Option<T>,
    ) -> Option<T> {
        self.find(key).and_then(|setting| setting.field.value).or(default)
    }

    /// The names of a list, each once: the first one is kept.
    pub(crate) fn unique(
        &self,
        key: Key<'l, Vec<Item<String>>>,
        _: Vec<String>,
    ) -> Vec<String> {
        let items = self.list(key);
        let mut seen = HashSet::with_capacity(items.len());
        items
            .iter()
            .filter(|item| seen.insert(item.value.as_str()))
            .map(|item| item.value.clone())
            .collect()
    }

    pub(crate) fn flags(
        &self,
        key: Key<'l, Vec<Item<Flag>>>,
        _: Vec<Flag>,
    ) -> Vec<Flag> {
        self.list(key).iter().map(|item| item.value).collect()
    }
}
