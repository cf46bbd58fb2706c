//! The store's data: databases, tables, records and blobs.
//!
//! Lives here: the data and its expiry. Does not: who may touch it (`service::store`).

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// Its value.
    pub(crate) value: Vec<u8>,
    /// When it is gone, in milliseconds since the Unix epoch; none: never.
    pub(crate) expires_ms: Option<i64>,
    /// Its metadata.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A table's records in the order of their keys.
pub(crate) type Table = BTreeMap<String, Record>;

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Records {
    tables: BTreeMap<(String, String), Table>,
    /// When the next record may expire.
    soonest_ms: Option<i64>,
    /// Blobs by namespace and key.
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
}

impl Records {
    /// A table; empty if it is not there.
    pub(crate) fn table(&self, database: &str, table: &str) -> Option<&Table> {
        self.tables.get(&(database.to_owned(), table.to_owned()))
    }

    /// All tables, in order.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&(String, String), &Table)> {
        self.tables.iter()
    }

    /// Writes a record.
    pub(crate) fn put(&mut self, database: &str, table: &str, key: &str, record: Record) {
        self.soonest_ms = self.soonest_ms.into_iter().chain(record.expires_ms).min();
        let table = self.tables.entry((database.to_owned(), table.to_owned())).or_default();
        table.insert(key.to_owned(), record);
    }

    /// Reads a record.
    pub(crate) fn get(&self, database: &str, table: &str, key: &str) -> Option<&Record> {
        self.table(database, table)?.get(key)
    }

    /// Deletes a record and says whether it was there.
    pub(crate) fn remove(&mut self, database: &str, table: &str, key: &str) -> bool {
        let table = self.tables.get_mut(&(database.to_owned(), table.to_owned()));
        table.is_some_and(|table| table.remove(key).is_some())
    }

    /// Keys with a prefix, in order.
    pub(crate) fn keys(&self, database: &str, table: &str, prefix: &str) -> Vec<String> {
        let Some(table) = self.table(database, table) else { return Vec::new() };
        let from = table.range(prefix.to_owned()..).map(|(key, _)| key);
        from.take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Writes a value as JSON.
    pub(crate) fn save<T: Serialize>(&mut self, database: &str, table: &str, key: &str, value: &T) {
        let value = serde_json::to_vec(value).unwrap_or_default();
        self.put(database, table, key, Record { value, ..Record::default() });
    }

    /// Reads a value that was written as JSON.
    pub(crate) fn load<T: DeserializeOwned>(&self, database: &str, table: &str, key: &str) -> Option<T> {
        serde_json::from_slice(&self.get(database, table, key)?.value).ok()
    }

    /// Forgets records whose time has come.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        if self.soonest_ms.is_none_or(|soonest_ms| now_ms < soonest_ms) {
            return;
        }
        for table in self.tables.values_mut() {
            table.retain(|_, record| record.expires_ms.is_none_or(|at| now_ms < at));
        }
        self.soonest_ms =
            self.tables.values().flat_map(Table::values).filter_map(|record| record.expires_ms).min();
    }

    /// Forgets every database but one.
    pub(crate) fn keep_only(&mut self, database: &str) {
        self.tables.retain(|(name, _), _| name == database);
    }
}
