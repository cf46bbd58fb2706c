//! A change and its undo, as data. Neither holds a secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that an operation is about to change, or has changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its number within the journal, from 1.
    pub number: u64,
    /// The case that makes it.
    pub case: String,
    /// The operation.
    pub operation: String,
    /// How it is put back; `None` where the operation only leaves declared residue.
    pub undo: Option<Undo>,
    /// The key of the shared thing it changes, if it is shared.
    pub key: Option<String>,
}

/// How a change is put back, as it was known before the change was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Undo {
    /// By a flow.
    Flow {
        /// The flow's name.
        flow: String,
        /// Its inputs.
        with: Map<String, Value>,
    },
    /// By giving a Deployment its image again.
    Image(FormerImage),
    /// By a statement to a database, which may be carried out any number of times.
    Statement {
        /// The database, as the target file names it.
        database: String,
        /// The statement.
        statement: String,
        /// The values for its `$1`, `$2`, ….
        values: Vec<Value>,
    },
    /// By giving the lease back that keeps two harnesses apart, if this run still holds it.
    Lease {
        /// The lease's name.
        lease: String,
        /// Its namespace.
        namespace: String,
    },
}

/// The image that a Deployment had before a run gave it another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormerImage {
    /// The Deployment's namespace.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
    /// The image that it had.
    pub image: String,
    /// The image that this run gave it: no other is ever replaced. Absent in journals of before this was kept.
    #[serde(default)]
    pub given: Option<String>,
    /// Its container that has the image; the only one if absent, as in journals of before this was kept.
    #[serde(default)]
    pub container: Option<String>,
    /// A hash of the rest of its template before: another one means that somebody else has changed it since.
    #[serde(default)]
    pub template: Option<String>,
    /// Its UID: one of the same name that was made since is somebody else's.
    #[serde(default)]
    pub uid: Option<String>,
}

impl std::fmt::Display for Undo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Undo::Flow { flow, with } => write!(f, "{flow} {}", Value::Object(with.clone())),
            Undo::Statement { database, statement, values } => {
                let statement = statement.trim();
                write!(f, "`{statement}` with {} on {database}", Value::Array(values.clone()))
            }
            Undo::Lease { lease, namespace } => write!(f, "giving the lease {namespace}/{lease} back"),
            Undo::Image(FormerImage { namespace, deployment, image, .. }) => {
                write!(f, "giving deployment {namespace}/{deployment} the image {image} again")
            }
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(undo) = &self.undo {
            write!(f, " (put back by {undo})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_way_back_is_read_as_it_was_written_and_says_what_it_does() {
        let text = |text: &str| text.to_owned();
        let Value::Object(with) = json!({ "id": "a" }) else { unreachable!() };
        let statement = text("delete from a where id = $1\n");
        let (namespace, deployment, given) = (text("n"), text("d"), Some(text("next")));
        let ways = [
            (Undo::Flow { flow: text("f"), with }, "f {\"id\":\"a\"}"),
            (
                Undo::Statement { database: text("main"), statement, values: vec![json!(1), json!(null)] },
                "`delete from a where id = $1` with [1,null] on main",
            ),
            (
                Undo::Image(FormerImage {
                    namespace,
                    deployment,
                    image: text("old"),
                    given,
                    container: Some(text("web")),
                    template: Some(text("00")),
                    uid: Some(text("u")),
                }),
                "giving deployment n/d the image old again",
            ),
            (Undo::Lease { lease: text("l"), namespace: text("n") }, "giving the lease n/l back"),
        ];
        for (undo, said) in ways {
            let kept = serde_json::to_string(&undo).unwrap();
            assert_eq!(serde_json::from_str::<Undo>(&kept).unwrap(), undo, "{kept}");
            assert_eq!(undo.to_string(), said);
        }
    }
}
