//! From the YAML tree to typed values, with every problem collected on the way.
//!
//! Lives here: the second of the two passes. A type derives `Deserialize` (never `untagged`, `flatten` or an inner
//! tag) and is read from a [`Node`]: unknown keys are told with a suggestion and do not end the reading, a wrong
//! value is told at its own place. Does not: what the values mean.

use super::at::{AT, FOUND, HERE, NODE};
use super::{Key, Node, Place, Problem, What, did_you_mean};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor, value::StrDeserializer,
};
use std::cell::RefCell;

/// Problems found so far.
pub type Problems = RefCell<Vec<Problem>>;

/// Reads a value from a node; problems are added to the list, and `None` means that there is no value.
pub fn read<T: DeserializeOwned>(node: &Node, problems: &Problems) -> Option<T> {
    match T::deserialize(Reader { node, problems }) {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.borrow_mut().push(problem.placed(node.at));
            None
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    problems: &'a Problems,
}

impl<'a> Reader<'a> {
    /// The entries whose keys are known; the others become problems.
    fn known_entries(
        &self,
        map: &'a [(Key, Node)],
        known: &'static [&'static str],
        is_sealed: bool,
    ) -> Vec<&'a (Key, Node)> {
        let is_known = |key: &str| known.contains(&key);
        for (key, _) in map.iter().filter(|(key, _)| !is_known(&key.text)) {
            let hint = did_you_mean(&key.text, known.iter().copied())
                .unwrap_or_else(|| format!("known here are {}", known.join(", ")));
            self.problems.borrow_mut().push(unknown(key, is_sealed).hint(hint));
        }
        map.iter().filter(|(key, _)| is_known(&key.text)).collect()
    }
}

impl<'de, 'a: 'de> Deserializer<'de> for Reader<'a> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let problems = self.problems;
        match &self.node.what {
            What::Null => visitor.visit_unit(),
            What::Bool(value) => visitor.visit_bool(*value),
            What::Int(value) => visitor.visit_i64(*value),
            What::Float(value) => visitor.visit_f64(*value),
            What::Text(value) => visitor.visit_str(value),
            What::List(list) => visitor.visit_seq(Items { left: list.iter(), problems }),
            What::Map(map) => visitor.visit_map(Entries { left: map.iter(), value: None, problems }),
        }
        .map_err(|problem| problem.placed(self.node.at))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let What::Map(map) = &self.node.what else {
            if name == SEALED {
                return Err(sealed(self.node.at));
            }
            return Err(Problem::new(self.node.at, format!("wanted a map, found {}", self.node.described()))
                .hint(format!("known keys are {}", known.join(", "))));
        };
        let left = self.known_entries(map, known, name == SEALED).into_iter();
        visitor
            .visit_map(Entries { left, value: None, problems: self.problems })
            .map_err(|problem| problem.placed(self.node.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.node.what {
            What::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match name {
            AT => {
                HERE.set(self.node.at);
                visitor.visit_newtype_struct(self)
            }
            NODE => {
                FOUND.set(Some(self.node.clone()));
                visitor.visit_unit()
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let choice = match &self.node.what {
            What::Text(word) => Choice { word, at: self.node.at, of: None, problems: self.problems },
            What::Map(map) => one_entry(map, known, self.problems).map_err(|it| it.placed(self.node.at))?,
            _ => {
                return Err(Problem::new(
                    self.node.at,
                    format!("wanted a word, found {}", self.node.described()),
                ));
            }
        };
        visitor.visit_enum(choice).map_err(|problem| problem.placed(self.node.at))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

/// A choice that is written as a map: its one key says which, and its value what of it.
fn one_entry<'a>(
    map: &'a [(Key, Node)],
    known: &[&str],
    problems: &'a Problems,
) -> Result<Choice<'a>, Problem> {
    match map {
        [(key, node)] => Ok(Choice { word: &key.text, at: key.at, of: Some(node), problems }),
        [] => {
            let hint = format!("known here are {}", known.join(", "));
            Err(Problem { at: None, text: "wanted one key, found none".into(), hint: Some(hint) })
        }
        [_, (second, _), ..] => {
            Err(Problem::new(second.at, format!("one key is wanted here, and `{}` is a second", second.text)))
        }
    }
}

/// One of several: a word alone, or a word with the value that belongs to it.
struct Choice<'a> {
    word: &'a str,
    at: Place,
    of: Option<&'a Node>,
    problems: &'a Problems,
}

impl<'a> Choice<'a> {
    fn value(&self) -> Result<Reader<'a>, Problem> {
        let wanted = || Problem::new(self.at, format!("`{}` needs a value", self.word));
        let node = self.of.ok_or_else(|| wanted().hint(format!("write `{}: …`", self.word)))?;
        Ok(Reader { node, problems: self.problems })
    }
}

impl<'de, 'a: 'de> EnumAccess<'de> for Choice<'a> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Problem> {
        let word: StrDeserializer<'_, Problem> = self.word.into_deserializer();
        Ok((seed.deserialize(word).map_err(|problem| problem.placed(self.at))?, self))
    }
}

impl<'de, 'a: 'de> VariantAccess<'de> for Choice<'a> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        let extra = |of: &Node| Err(Problem::new(of.at, format!("`{}` takes no value", self.word)));
        self.of.map_or(Ok(()), extra)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.value()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.value()?.deserialize_struct("", known, visitor)
    }
}

struct Items<'a, I> {
    left: I,
    problems: &'a Problems,
}

impl<'de, 'a: 'de, I: Iterator<Item = &'a Node>> SeqAccess<'de> for Items<'a, I> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let problems = self.problems;
        self.left
            .next()
            .map(|node| {
                seed.deserialize(Reader { node, problems }).map_err(|problem| problem.placed(node.at))
            })
            .transpose()
    }
}

struct Entries<'a, I> {
    left: I,
    value: Option<&'a Node>,
    problems: &'a Problems,
}

impl<'de, 'a: 'de, I: Iterator<Item = &'a (Key, Node)>> MapAccess<'de> for Entries<'a, I> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, node)) = self.left.next() else { return Ok(None) };
        self.value = Some(node);
        HERE.set(key.at);
        let text: StrDeserializer<'_, Problem> = key.text.as_str().into_deserializer();
        seed.deserialize(KeyReader { text, at: key.at }).map(Some).map_err(|problem| problem.placed(key.at))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Problem> {
        let node = self.value.take().ok_or_else(|| de::Error::custom("value before key"))?;
        seed.deserialize(Reader { node, problems: self.problems }).map_err(|problem| problem.placed(node.at))
    }
}

/// A key as a value, so that a key can be an [`At`] too.
struct KeyReader<'a> {
    text: StrDeserializer<'a, Problem>,
    at: Place,
}

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.text.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        HERE.set(self.at);
        visitor.visit_newtype_struct(self.text)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A key that is not known. One that seems to hold a secret is told without its line.
fn unknown(key: &Key, is_sealed: bool) -> Problem {
    let word = key.text.to_lowercase();
    let seems_secret = ["secret", "passw", "token", "credential"].iter().any(|part| word.contains(part));
    match is_sealed || seems_secret {
        true => Problem::new(Place::default(), format!("line {}: unknown key `{}`", key.at.line, key.text)),
        false => Problem::new(key.at, format!("unknown key `{}`", key.text)),
    }
}

/// A type of this name says where a secret is. What stands in its place may be one, and is shown in no message.
const SEALED: &str = "SecretPlace";

/// Told without its place, for a message shows the line that it belongs to.
fn sealed(at: Place) -> Problem {
    Problem::new(Place::default(), format!("line {}: a secret cannot stand in the file itself", at.line))
        .hint("name where it is: `{ env: NAME }` or `{ file: PATH }`")
}

#[cfg(test)]
mod tests {
    use super::super::{At, Source, draw, tree};
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only read through Debug")]
    struct Call {
        op: At<String>,
        status: Option<u16>,
        json: Option<BTreeMap<At<String>, At<i64>>>,
    }

    fn problems_of(text: &str) -> Vec<String> {
        let problems = Problems::default();
        let node = tree(text).unwrap();
        drop(read::<Call>(&node, &problems));
        let source = Source::new("a.yaml", text);
        problems.into_inner().iter().map(|problem| draw(&source, problem)).collect()
    }

    #[test]
    fn every_unknown_key_is_told_at_its_place() {
        let all = problems_of("op: x\njsn: {}\nstats: 1\n").join("\n");
        assert!(all.contains("a.yaml:2:1") && all.contains("did you mean `json`?"), "{all}");
        assert!(all.contains("a.yaml:3:1") && all.contains("did you mean `status`?"), "{all}");
    }

    #[test]
    fn a_wrong_value_is_told_at_its_place() {
        let all = problems_of("op: x\nstatus: 70000\n").join("\n");
        assert!(
            all.contains("wanted a whole number from 0 to 65535, found the number `70000`")
                && all.contains("a.yaml:2:9"),
            "{all}"
        );
    }

    #[test]
    fn a_list_where_a_map_is_wanted_is_refused() {
        assert!(problems_of("- x\n")[0].contains("wanted a map, found a list"));
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let node = tree("op: x\njson:\n  a: 1\n").unwrap();
        let call: Call = read(&node, &Problems::default()).unwrap();
        assert_eq!((call.op.at.line, call.op.at.column), (1, 5));
        let (key, value) = call.json.unwrap().into_iter().next().unwrap();
        assert_eq!((key.at.column, value.at.column), (3, 6));
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Chosen {
        #[serde(rename = "alone")]
        Alone,
        #[serde(rename = "of")]
        Of(u16),
    }

    fn chosen(text: &str) -> Result<Chosen, String> {
        let problems = Problems::default();
        let node = tree(text).unwrap();
        read(&node, &problems).ok_or_else(|| {
            let problem = problems.into_inner().remove(0);
            let at = problem.at.unwrap();
            format!("{}:{} {}", at.line, at.column, problem.text)
        })
    }

    #[test]
    fn a_choice_is_a_word_or_one_key() {
        assert_eq!(chosen("alone"), Ok(Chosen::Alone));
        assert_eq!(chosen("{ of: 7 }"), Ok(Chosen::Of(7)));
        for (text, said) in [
            ("off", "1:1 wanted one of `alone`, `of`, found `off`"),
            ("{ off: 7 }", "1:3 wanted one of `alone`, `of`, found `off`"),
            ("of", "1:1 `of` needs a value"),
            ("{ of: x }", "1:7 wanted a whole number from 0 to 65535, found the text `x`"),
            ("{ alone: 1 }", "1:10 `alone` takes no value"),
            ("{ of: 7, alone: 1 }", "1:10 one key is wanted here, and `alone` is a second"),
            ("{}", "1:1 wanted one key, found none"),
            ("[of]", "1:1 wanted a word, found a list"),
        ] {
            assert_eq!(chosen(text), Err(said.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_and_booleans_are_not_retyped() {
        let node = tree("a: 0123\nb: yes\nc: 1_0\n").unwrap();
        let What::Map(map) = node.what else { panic!() };
        assert!(map.iter().all(|(_, node)| matches!(node.what, What::Text(_))), "{map:?}");
    }
}
