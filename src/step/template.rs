//! `$(expression)` in suite texts.
//!
//! Lives here: finding the expressions in a text, compiling and evaluating them, and values of any shape that hold
//! such texts. Does not: which names there are (`stage`), or whether they are known (`look`).
//!
//! The expression language is minijinja's, with our own few filters and nothing else. A text that is one whole
//! `$(…)` keeps the type of its value; `$$(` is a literal `$(`.

use super::filter::environment;
use crate::source::{Key, Node, Place, Problem, What, outside_quotes};
use minijinja::{Environment, value::Serde};
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The names that an expression can use, with their values.
pub type Names = Map<String, Value>;

/// A text with expressions in it, and its place.
#[derive(Debug, Clone)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Where it stands.
    pub at: Place,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Expression(String),
}

/// Why a text cannot be rendered. It never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`$({expression})`: {why}")]
pub struct TemplateError {
    expression: String,
    why: String,
}

impl Template {
    /// A text that stands at a place.
    ///
    /// # Errors
    /// If an expression is not closed or is no expression.
    pub fn new(text: &str, at: Place) -> Result<Self, Problem> {
        let pieces = scan(text).map_err(|(_, why)| Problem::new(at, why))?;
        for piece in &pieces {
            if let Piece::Expression(source) = piece {
                let wrong = |why: String| Problem::new(at, format!("`$({source})` is no expression: {why}"));
                // The library reckons what is constant while it compiles: what is not supported does not get so far.
                supported(source).map_err(wrong)?;
                ENVIRONMENT
                    .with(|it| it.compile_expression(source).map(drop))
                    .map_err(|error| wrong(said(&error)))?;
            }
        }
        Ok(Self { pieces, at })
    }

    /// The value of the text.
    ///
    /// # Errors
    /// If a name has no value.
    pub fn render(&self, names: &Names) -> Result<Value, TemplateError> {
        if let [Piece::Expression(source)] = self.pieces.as_slice() {
            return evaluate(source, names);
        }
        self.render_text(names).map(Value::from)
    }

    /// The value of the text, as text.
    ///
    /// # Errors
    /// If a name has no value, or a list or map would have to become text.
    pub fn render_text(&self, names: &Names) -> Result<String, TemplateError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Expression(source) => out.push_str(&as_text(source, evaluate(source, names)?)?),
            }
        }
        Ok(out)
    }

    /// The text as it is written, each expression as `$(expression)`.
    pub fn written(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Expression(expression) => format!("$({expression})"),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// The text itself, if there is no expression in it.
    pub fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Every name it uses, dotted as far as it goes: `me.email`.
    pub fn uses(&self) -> BTreeSet<String> {
        let sources = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Expression(source) => Some(source),
            Piece::Text(_) => None,
        });
        sources
            .filter_map(|source| {
                ENVIRONMENT.with(|it| Some(it.compile_expression(source).ok()?.undeclared_variables(true)))
            })
            .flatten()
            .collect()
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let node = crate::source::Whole::deserialize(deserializer)?.0;
        let text = match &node.what {
            What::Text(text) => text.clone(),
            What::Int(number) => number.to_string(),
            What::Bool(it) => it.to_string(),
            _ => return Err(D::Error::custom(format!("wanted a text, found {}", node.described()))),
        };
        Template::new(&text, node.at).map_err(|problem| D::Error::custom(problem.text))
    }
}

impl schemars::JsonSchema for Template {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer", "boolean"],
            "description": "a text in which `$(expression)` is replaced by its value"
        })
    }
}

/// A value of any shape whose texts are templates.
#[derive(Debug, Clone)]
pub struct Data {
    shape: Shape,
    /// Where it stands.
    pub at: Place,
}

#[derive(Debug, Clone)]
enum Shape {
    Fixed(Value),
    Text(Template),
    List(Vec<Data>),
    Map(Vec<(String, Data)>),
}

impl Data {
    /// The value of a node.
    ///
    /// # Errors
    /// If a text in it is no template, or a key holds an expression.
    pub fn new(node: &Node) -> Result<Self, Problem> {
        let shape = match &node.what {
            What::Null => Shape::Fixed(Value::Null),
            What::Bool(it) => Shape::Fixed(Value::from(*it)),
            What::Int(it) => Shape::Fixed(Value::from(*it)),
            What::Float(it) => Shape::Fixed(Value::from(*it)),
            What::Text(text) => Shape::Text(Template::new(text, node.at)?),
            What::List(list) => Shape::List(list.iter().map(Data::new).collect::<Result<_, _>>()?),
            What::Map(map) => Shape::Map(map.iter().map(entry).collect::<Result<_, _>>()?),
        };
        Ok(Self { shape, at: node.at })
    }

    /// Its value.
    ///
    /// # Errors
    /// If a name has no value.
    pub fn render(&self, names: &Names) -> Result<Value, TemplateError> {
        match &self.shape {
            Shape::Fixed(value) => Ok(value.clone()),
            Shape::Text(template) => template.render(names),
            Shape::List(list) => list.iter().map(|one| one.render(names)).collect(),
            Shape::Map(map) => {
                let rendered = map.iter().map(|(key, one)| Ok((key.clone(), one.render(names)?)));
                rendered.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }

    /// Its value, if it holds no expression.
    pub fn constant(&self) -> Option<Value> {
        self.templates().iter().all(|it| it.constant().is_some()).then(|| self.render(&Names::new()).ok())?
    }

    /// Every text in it.
    pub fn templates(&self) -> Vec<&Template> {
        match &self.shape {
            Shape::Fixed(_) => vec![],
            Shape::Text(template) => vec![template],
            Shape::List(list) => list.iter().flat_map(Data::templates).collect(),
            Shape::Map(map) => map.iter().flat_map(|(_, one)| one.templates()).collect(),
        }
    }
}

fn entry((key, node): &(Key, Node)) -> Result<(String, Data), Problem> {
    if key.text.contains("$(") {
        return Err(Problem::new(key.at, "a key cannot hold an expression").hint(
            "in a flow map `{ … }` a comma inside `$(…)` ends the value: quote the value or use block style",
        ));
    }
    Ok((key.text.clone(), Data::new(node)?))
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let node = crate::source::Whole::deserialize(deserializer)?.0;
        Data::new(&node).map_err(|problem| match problem.hint {
            Some(hint) => D::Error::custom(format!("{}\nhint: {hint}", problem.text)),
            None => D::Error::custom(problem.text),
        })
    }
}

impl schemars::JsonSchema for Data {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Data".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}

thread_local! {
    static ENVIRONMENT: Environment<'static> = environment();
}

fn evaluate(source: &str, names: &Names) -> Result<Value, TemplateError> {
    let wrong = |why: String| TemplateError { expression: source.into(), why };
    ENVIRONMENT.with(|environment| {
        let expression = environment.compile_expression(source).map_err(|error| wrong(said(&error)))?;
        let value =
            expression.eval(minijinja::Value::from(Serde(names))).map_err(|error| wrong(said(&error)))?;
        if value.is_undefined() {
            return Err(wrong("it has no value".into()));
        }
        serde_json::to_value(value).map_err(|error| wrong(error.to_string()))
    })
}

fn said(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn as_text(source: &str, value: Value) -> Result<String, TemplateError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => Err(TemplateError {
            expression: source.into(),
            why: "a list or map cannot become a part of a text".into(),
        }),
    }
}

/// Names inside a slice are not seen by the check of names, and a list times a number takes seconds: both are refused.
fn supported(source: &str) -> Result<(), String> {
    let outside = outside_quotes(source);
    let is_slice =
        outside.split('[').skip(1).any(|rest| rest.split(']').next().is_some_and(|it| it.contains(':')));
    match outside.contains('*') {
        _ if is_slice => Err("slices are not supported".into()),
        true => Err("`*` is not supported".into()),
        false => outside.split('|').skip(1).try_for_each(known_filter),
    }
}

/// A filter must be there: one that is not would be told only when a case comes to it.
fn known_filter(behind_the_bar: &str) -> Result<(), String> {
    let name: String =
        behind_the_bar.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let tried =
        |environment: &Environment<'_>| environment.compile_expression(&format!("''|{name}"))?.eval(());
    match ENVIRONMENT.with(tried) {
        Err(error) if error.kind() == minijinja::ErrorKind::UnknownFilter => Err(said(&error)),
        _ => Ok(()),
    }
}

/// Cuts a text into plain pieces and expressions: parentheses balanced, quotes respected.
fn scan(text: &str) -> Result<Vec<Piece>, (usize, &'static str)> {
    let (mut pieces, mut plain, mut at) = (vec![], String::new(), 0);
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        plain.push_str(&text[at..dollar]);
        let rest = &text[dollar..];
        if rest.starts_with("$$(") {
            plain.push_str("$(");
            at = dollar + 3;
        } else if rest.starts_with("$(") {
            let end = closing(text.as_bytes(), dollar + 2)
                .ok_or((dollar, "`$(` is never closed (in a flow list or map, quote the whole value)"))?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Expression(text[dollar + 2..end].to_owned()));
            at = end + 1;
        } else {
            plain.push('$');
            at = dollar + 1;
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// The byte of the parenthesis that closes the one before `from`.
fn closing(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut depth, mut quote, mut at) = (1_usize, None, from);
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(mark), _) if byte == mark => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Names {
        json!({ "me": { "email": "a@b", "n": 7, "list": [1], "none": null }, "code": "AbC" })
            .as_object()
            .cloned()
            .unwrap()
    }

    fn template(text: &str) -> Template {
        Template::new(text, Place::default()).unwrap()
    }

    #[test]
    fn a_whole_expression_keeps_its_type() {
        for (text, value) in [
            ("$(me.n)", json!(7)),
            ("$(me.list)", json!([1])),
            ("$(me.none)", json!(null)),
            ("n=$(me.n)", json!("n=7")),
            ("$(me.email|upper)", json!("A@B")),
            ("$(code ~ '*')", json!("AbC*")),
            ("$('a)b' ~ code)", json!("a)bAbC")),
            ("$(code|base64)", json!("QWJD")),
            ("$$(me.n) $5", json!("$(me.n) $5")),
            ("$(me.none|default('x'))", json!("x")),
            ("$('2026-01-02T03:00:00Z'|plus('14d'))", json!("2026-01-16T03:00:00Z")),
            ("$('2026-01-02T03:00:00Z'|minus('2h 30m'))", json!("2026-01-02T00:30:00Z")),
            ("$(me.n == 7 and code != '')", json!(true)),
            ("", json!("")),
        ] {
            assert_eq!(template(text).render(&names()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn a_name_without_a_value_is_an_error_without_values() {
        for (text, why) in [
            ("$(you)", "`$(you)`: it has no value"),
            ("$(me.phone)", "`$(me.phone)`: it has no value"),
            ("a $(me.list)", "`$(me.list)`: a list or map cannot become a part of a text"),
            ("$(code|plus('1h'))", "`$(code|plus('1h'))`: `plus` and `minus` take an instant, such as `now`"),
            ("$(me.n|upper)", "`$(me.n|upper)`: `upper` takes a text, not a value of kind number"),
        ] {
            assert_eq!(template(text).render(&names()).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_when_it_is_read() {
        for (text, why) in [
            ("$(me.", "`$(` is never closed (in a flow list or map, quote the whole value)"),
            ("$(me..x)", "`$(me..x)` is no expression: unexpected `.`, expected identifier or integer"),
            ("$(code[0:2])", "`$(code[0:2])` is no expression: slices are not supported"),
            ("$(9999*me.list)", "`$(9999*me.list)` is no expression: `*` is not supported"),
            ("$('a'**2)", "`$('a'**2)` is no expression: `*` is not supported"),
            ("$('a'*)", "`$('a'*)` is no expression: `*` is not supported"),
        ] {
            assert_eq!(Template::new(text, Place::default()).unwrap_err().text, why);
        }
    }

    #[test]
    fn the_names_it_uses_are_known() {
        let used = template("$(me.email) $(code|default(other))").uses();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["code", "me.email", "other"]);
    }

    #[test]
    fn data_keeps_its_shape() {
        let node = crate::source::tree("a: [1, $(me.n), { b: '$(code)!' }]\nc: null\n").unwrap();
        let value = Data::new(&node).unwrap().render(&names()).unwrap();
        assert_eq!(value, json!({ "a": [1, 7, { "b": "AbC!" }], "c": null }));
    }

    #[test]
    fn a_key_holds_no_expression() {
        let node = crate::source::tree("{ email: $(f(a, b)) }").unwrap();
        assert_eq!(
            Data::new(&node).unwrap_err().text,
            "`$(` is never closed (in a flow list or map, quote the whole value)"
        );
    }
}
